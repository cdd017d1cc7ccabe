#!/bin/sh
# Which criterion? Do tickets transfer? Two questions, after sweep.sh and collect.sh. Then collect.sh makes the reports.
#
#   ./experiments/phase_transition/questions.sh NAME GPUID [SEED...]
. "$(dirname "$0")/experiment.sh"
[ -n "${CRITERIA:-}" ] || fail "experiments/phase_transition/$NAME/settings.sh: no CRITERIA, expected CRITERIA, \
CRITERIA_TASKS, CRITERIA_SPARSITIES and TRANSFER_SPARSITY, as five_tasks has them"
MASK_SPARSITIES=$WINNING
restore_masks

for seed in ${*:-$ALL_SEEDS}; do
    # The model that all criteria score is fine-tuned here, not taken from sweep.sh: a machine that has its masks may
    # not have its models.
    of_seed "$seed" criteria
    SPARSITIES=$CRITERIA_SPARSITIES
    for task in $CRITERIA_TASKS; do
        of_task "$task"
        # All scores first: they need the fine-tuned model, the rewound runs need only the masks.
        scored=
        for CRITERION in $CRITERIA; do
            if (PROCESSES=1; train_seed "$seed"); then scored="$scored $CRITERION"; else go_on_after_failure; fi
        done
        for CRITERION in $scored; do
            rewind_seed "$seed" winning || go_on_after_failure
        done
    done

    of_seed "$seed" single
    for task in $TASKS; do
        of_task "$task"
        for other in $TASKS; do
            [ "$other" = "$task" ] && continue
            (PROCESSES=1   # one run
             with_options rewind.py --tickets_of "$other" --masks "$CHECKPOINTS/$other/masks/winning" \
                --sparsities $TRANSFER_SPARSITY --seeds "$seed" --output_dir "$(output)/rewind") || go_on_after_failure
        done
    done
done
