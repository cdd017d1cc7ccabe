#!/bin/sh
# Fine-tune the dense model of every task at a grid of learning rates and epochs: the best score on held-out training
# rows decides. No dev row takes part. grid.py prints the table that README.md shows.
#
#   ./experiments/phase_transition/five_tasks/grid.sh GPUID
RATES="5e-5 1e-4 2e-4 5e-4"
EPOCH_COUNTS="3 6"
TOGETHER_RATES="1e-4 2e-4 5e-4"   # of all tasks in one encoder
TOGETHER_EPOCHS=6
SEED=2018
. "$(dirname "$0")/../../../scripts/common.sh"
. experiments/phase_transition/five_tasks/settings.sh

# dense TASK EPOCHS RATE...: fine-tune at these learning rates.
dense() {
    TASK=$1 EPOCHS=$2
    shift 2
    TRAIN_FRACTION=$(fraction_of "$TASK")
    for LEARNING_RATE in "$@"; do
        with_options train.py --do_train --seed $SEED --output_dir "$EXPERIMENT/grid/$TASK/rate_${LEARNING_RATE}_epochs_$EPOCHS"
    done
}

begin "$@"
for epochs in $EPOCH_COUNTS; do
    for task in $TASKS; do
        dense "$task" "$epochs" $RATES
    done
done
dense $TOGETHER $TOGETHER_EPOCHS $TOGETHER_RATES
"$PYTHON" -m experiments.phase_transition.five_tasks.grid $EXPERIMENT/grid
