#!/bin/sh
# Multi-task learning with tickets sharing: one shared encoder, in which every task trains its own super ticket.
#
#   ./scripts/prepare_mtdnn_base.sh GPUID; python construct_mtl_mask.py      (before this one)
#   ./scripts/train_mtdnn.sh GPUID
MODEL=base            # or large
TICKETS_SHARING=yes   # no: plain MT-DNN, where every task trains the whole encoder
TASK=mnli,qqp,qnli,sst,mrpc,cola,rte,stsb
EPOCHS=5
LEARNING_RATE=5e-5
BATCH_SIZE=32         # rows of one task; several GPUs share them
SEEDS="2018"          # or more: "2018 2019 2020"
SAVE_MODEL=yes        # of tickets sharing; MT-DNN's is always kept
ENCODER=bert-$MODEL-uncased
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it
OUTPUT=$CHECKPOINTS/mtdnn
if [ "$CRITERION" = example ]; then KIND=winning; BY=""; else KIND=$CRITERION/winning; BY=" --criterion $CRITERION"; fi
: "${MASK:=$OUTPUT/masks/$KIND/super_tickets.json}"   # by construct_mtl_mask.py

use_gpu "$@"
case $TASK in ?*,?*) ;; *) fail "TASK=$TASK, expected several tasks, separated by commas" ;; esac
yes_or_no TICKETS_SHARING "$TICKETS_SHARING"
if [ "$TICKETS_SHARING" = yes ]; then
    [ -f "$MASK" ] || fail "$MASK: no such mask, expected the merged super tickets; make them with \
python construct_mtl_mask.py --model $MODEL --checkpoints $CHECKPOINTS --output $MASK$BY \
(your own super tickets: with --super_tickets FILE...; another encoder: docs/encoders.md)"
    with_options rewind.py --masks "$MASK" --seeds $SEEDS --output_dir "$OUTPUT" || go_on_after_failure
else
    mtdnn() { with_options train.py --do_train --seed "$1" --output_dir "$OUTPUT/dense/seed_$1" $IF_LOCKED; }
    take_turns mtdnn $SEEDS
fi
report mt_dnn.reports.multi_task "$OUTPUT"
