#!/bin/sh
# Fine-tune the dense model of every task at a grid of learning rates and epochs: the best score on held-out training
# rows decides. No dev row takes part. grid.py prints the table that README.md shows.
#
#   ./experiments/phase_transition/five_tasks/choose_hyper_parameters.sh GPUID
RATES="5e-5 1e-4 2e-4 5e-4"
EPOCH_COUNTS="3 6"
SEED=2018
. "$(dirname "$0")/../../../scripts/common.sh"
. experiments/phase_transition/five_tasks/settings.sh

use_gpu "$@"
prepare
for epochs in $EPOCH_COUNTS; do
    for task in $TASKS; do
        for rate in $RATES; do
            with_options "$task" "$epochs" "$rate" train.py --do_train --seed $SEED \
                --output_dir "$OUTPUT/grid/$task/rate_${rate}_epochs_$epochs"
        done
    done
done
"$PYTHON" -m experiments.phase_transition.five_tasks.grid $OUTPUT/grid
