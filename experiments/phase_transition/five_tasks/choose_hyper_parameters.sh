#!/bin/sh
# Fine-tune the dense model of every task at a grid of learning rates and epochs, for the table in README.md:
# the best score on held-out training rows decides. No dev row takes part.
#
#   ./experiments/phase_transition/five_tasks/choose_hyper_parameters.sh GPUID
RATES="5e-5 1e-4 2e-4 5e-4"
EPOCH_COUNTS="3 6"
SEED=2018
. "$(dirname "$0")/settings.sh"
. "$(dirname "$0")/../../../scripts/common.sh"

use_gpu "$@"
for epochs in $EPOCH_COUNTS; do
    for task in ${ONLY_TASKS:-$TASKS}; do
        for rate in $RATES; do
            launch train.py --do_train --device "$DEVICE" --precision $PRECISION --data_dir $DATA --task_def $TASK_DEF \
                --init_checkpoint $START --train_datasets "$task" --holdout $HOLDOUT --train_fraction "$(fraction_of "$task")" \
                --batch_size $BATCH_SIZE --epochs "$epochs" --learning_rate "$rate" --seed $SEED \
                --output_dir "$OUTPUT_ROOT/grid/$task/rate_${rate}_epochs_$epochs"
        done
    done
done
