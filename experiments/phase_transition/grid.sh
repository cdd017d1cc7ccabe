#!/bin/sh
# Fine-tune the dense model of every task at a grid of learning rates and epochs: the best score on held-out training
# rows decides. No dev row takes part. It prints the table; write what you choose into NAME/hyper_parameters.sh.
#
#   ./experiments/phase_transition/grid.sh NAME GPUID
. "$(dirname "$0")/steps.sh"

# dense TASK EPOCHS RATE...: fine-tune at these learning rates.
dense() {
    TASK=$1 EPOCHS=$2
    shift 2
    TRAIN_FRACTION=$(fraction_of "$TASK")
    for LEARNING_RATE in "$@"; do
        with_options train.py --do_train --seed "${ALL_SEEDS%% *}" \
            --output_dir "$RUNS/grid/$TASK/rate_${LEARNING_RATE}_epochs_$EPOCHS"
    done
}

for epochs in $GRID_EPOCHS; do
    for task in $TASKS; do
        dense "$task" "$epochs" $GRID_RATES
    done
done
if [ -n "$TOGETHER" ]; then
    dense "$TOGETHER" "$TOGETHER_EPOCHS" $TOGETHER_RATES
fi
"$PYTHON" -m experiments.phase_transition.grid "$RUNS/grid"
