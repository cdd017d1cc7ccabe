#!/bin/sh
# Domain adaptation: a multi-task model as the start for SNLI and SciTail, with few or all of their training rows.
#
#   ./scripts/domain_adaptation.sh GPUID      (after train_mtdnn.sh)
TASKS="snli scitail"
FRACTIONS="0.001 0.01 0.1 1.0"   # parts of the training rows; with one seed the smaller ones lie inside the larger ones
SEEDS="2018"
EPOCHS=5
LEARNING_RATE=5e-5
BATCH_SIZE=32
ENCODER=bert-base-uncased        # whose tokenized data to take
# To compare, set another NAME, and START=$CHECKPOINTS/mtdnn/dense/seed_2018/model (MT-DNN, trained by train_mtdnn.sh
# with TICKETS_SHARING=no) or START=$ENCODER (the encoder without multi-task training).
: "${CHECKPOINTS:=checkpoints/$(basename "$ENCODER")}"
START=$CHECKPOINTS/mtdnn/winning/super_tickets/seed_2018/model
NAME=tickets_sharing             # of the folder for the results; the table at the end has all of them
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
case $START in
    "$CHECKPOINTS"/*) [ -d "$START" ] || fail "$START: no such model, expected that of train_mtdnn.sh; run it before, \
or set START to the model that you trained" ;;
esac
items=""
for seed in $SEEDS; do
    for task in $TASKS; do
        for fraction in $FRACTIONS; do items="$items $task=$fraction=$seed"; done
    done
done
adapt() {   # TASK=FRACTION=SEED
    TASK=${1%%=*} seed=${1##*=}
    TRAIN_FRACTION=${1#*=}; TRAIN_FRACTION=${TRAIN_FRACTION%=*}
    with_options train.py --do_train --seed "$seed" $IF_LOCKED \
        --output_dir "$CHECKPOINTS/domain_adaptation/$NAME/$TASK/rows_$TRAIN_FRACTION/seed_$seed"
}
take_turns adapt $items
report mt_dnn.reports.domain_adaptation "$CHECKPOINTS/domain_adaptation"
