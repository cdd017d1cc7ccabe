#!/bin/sh
# Which criterion? Do tickets transfer? Two questions, after sweep.sh.
#
#   ./experiments/phase_transition/questions.sh NAME GPUID [SEED...]
. "$(dirname "$0")/steps.sh"
MASK_SPARSITIES=$WINNING

# The model that all criteria score is fine-tuned here, not taken from sweep.sh: a machine that has its masks may not
# have its models.
SPARSITIES=$CRITERIA_SPARSITIES
for seed in $ALL_SEEDS; do
    of_seed "$seed" criteria
    for task in $CRITERIA_TASKS; do
        of_task "$task"
        for CRITERION in $CRITERIA; do
            (PROCESSES=1; train_seed "$seed")
            rewind_seed "$seed" winning
        done
    done
done
"$PYTHON" -m mt_dnn.reports "$RUNS/criteria" --output_dir "$RUNS/report_criteria"

for seed in $TRANSFER_SEEDS; do
    case " $ALL_SEEDS " in *" $seed "*) ;; *) continue ;; esac
    of_seed "$seed" single
    for task in $TASKS; do
        of_task "$task"
        for other in $TASKS; do
            [ "$other" = "$task" ] && continue
            with_options rewind.py --parallel runs --tickets_of "$other" --masks "$CHECKPOINTS/$other/masks/winning" \
                --sparsities $TRANSFER_SPARSITY --seeds "$seed" --output_dir "$(output)/rewind"
        done
    done
done
# Not over the report that chose the super tickets: this machine may not have all runs of the sweep.
"$PYTHON" -m mt_dnn.reports "$RUNS/single" --output_dir "$RUNS/report_transfer"
