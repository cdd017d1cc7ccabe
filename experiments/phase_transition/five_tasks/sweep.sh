#!/bin/sh
# The phase transition of five tasks: every seed fine-tunes, scores, makes its own masks and rewinds them.
#
#   ./experiments/phase_transition/five_tasks/sweep.sh GPUID      (cpu,cpu: two runs side by side on two cores)
. "$(dirname "$0")/../../../scripts/common.sh"
. experiments/phase_transition/five_tasks/settings.sh
. experiments/phase_transition/five_tasks/hyper_parameters.sh
MASK_SPARSITIES=$WINNING

begin "$@"
for seed in $ALL_SEEDS; do
    of_seed "$seed"
    for task in $TASKS; do
        of_task "$task"
        (PROCESSES=1; train_seed "$seed")   # two that share its batches train a small model no faster
        SPARSITIES=$WINNING
        rewind_seed "$seed" winning
        SPARSITIES=$CONTROLS
        rewind_seed "$seed" random losing
    done
    "$PYTHON" -m mt_dnn.reports $EXPERIMENT/single --output_dir $EXPERIMENT/report
done
