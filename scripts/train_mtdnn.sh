#!/bin/sh
# Multi-task learning with tickets sharing: one shared encoder, in which every task trains its own super ticket.
#
#   ./scripts/prepare_mtdnn_base.sh GPUID; python construct_mtl_mask.py      (before this one)
#   ./scripts/train_mtdnn.sh GPUID
MODEL=base            # or large
TICKETS_SHARING=yes   # no: the plain MT-DNN baseline, where every task trains the whole encoder
TASKS=mnli,qqp,qnli,sst,mrpc,cola,rte,stsb
DEV_SETS=mnli_matched,mnli_mismatched,qqp,qnli,sst,mrpc,cola,rte,stsb
EPOCHS=5
LEARNING_RATE=5e-5
BATCH_SIZE=32         # rows of one task; several GPUs share them
OPTIMIZER=adamax
SEEDS="2018"          # or more: "2018 2019 2020"
ENCODER=bert-$MODEL-uncased
OUTPUT=checkpoints/$ENCODER/mtdnn
MASK=$OUTPUT/masks/winning/super_tickets.json   # by construct_mtl_mask.py

. "$(dirname "$0")/common.sh"
use_gpu "$@"

with_options() {
    launch "$@" --device "$DEVICE" --data_dir "data/tokenized/$ENCODER" --init_checkpoint "$(checkpoint "$ENCODER")" \
        --train_datasets "$TASKS" --test_datasets "$DEV_SETS" \
        --epochs "$EPOCHS" --batch_size "$BATCH_SIZE" --learning_rate "$LEARNING_RATE" --optimizer "$OPTIMIZER"
}
if [ "$TICKETS_SHARING" = yes ]; then
    [ -f "$MASK" ] || { echo "$0: error: $MASK: no such mask, expected the merged super tickets; make them with python construct_mtl_mask.py --model $MODEL" >&2; exit 2; }
    with_options rewind.py --masks "$MASK" --seeds $SEEDS --save_model --output_dir "$OUTPUT"
else
    for seed in $SEEDS; do
        with_options train.py --do_train --seed "$seed" --output_dir "$OUTPUT/dense/seed_$seed"
    done
fi
"$PYTHON" experiments/multi_task/report.py "$OUTPUT"
