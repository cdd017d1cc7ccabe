#!/bin/sh
# Which criterion? Do tickets transfer? Two questions, after sweep.sh.
#
#   ./experiments/phase_transition/questions.sh NAME GPUID
. "$(dirname "$0")/steps.sh"
MASK_SPARSITIES=$WINNING

SPARSITIES=$CRITERIA_SPARSITIES
for seed in $ALL_SEEDS; do
    of_seed "$seed"
    for task in $CRITERIA_TASKS; do
        of_task "$task"
        for CRITERION in $CRITERIA; do
            (PROCESSES=1; train_seed "$seed")
            rewind_seed "$seed" winning
        done
    done
done

for seed in $TRANSFER_SEEDS; do
    of_seed "$seed"
    for task in $TASKS; do
        of_task "$task"
        for other in $TASKS; do
            [ "$other" = "$task" ] && continue
            with_options rewind.py --parallel runs --tickets_of "$other" --masks "$CHECKPOINTS/$other/masks/winning" \
                --sparsities $TRANSFER_SPARSITY --seeds "$seed" --output_dir "$(output)/rewind"
        done
    done
done
"$PYTHON" -m mt_dnn.reports "$RUNS/single" --output_dir "$RUNS/report"
