#!/bin/sh
# The phase transition: every seed fine-tunes each task, scores, makes its own masks and rewinds them.
#
#   ./experiments/phase_transition/sweep.sh NAME GPUID [SEED...]      (cpu,cpu: two runs side by side on two cores)
#
# With SEED... only these seeds are run, so that several machines can share an experiment.
. "$(dirname "$0")/experiment.sh"
MASK_SPARSITIES="$WINNING $CONTROLS"

for seed in ${*:-$ALL_SEEDS}; do
    of_seed "$seed" single
    for task in $TASKS; do
        of_task "$task"
        # Two processes that share its batches train a small model no faster.
        (PROCESSES=1; train_seed "$seed") || { go_on_after_failure; continue; }
        SPARSITIES=$WINNING
        rewind_seed "$seed" winning || go_on_after_failure
        SPARSITIES=$CONTROLS
        rewind_seed "$seed" $CONTROL_KINDS || go_on_after_failure
    done
    report mt_dnn.reports "$RUNS/single" --output_dir "$RUNS/report"
done
