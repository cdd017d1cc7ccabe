#!/bin/sh
# Fine-tune the dense model of every task at a grid of learning rates and epochs: the best score on held-out training
# rows decides. No dev row takes part. It prints the table; write what you choose into NAME/hyper_parameters.sh.
#
#   ./experiments/phase_transition/grid.sh NAME GPUID [TASK...]      (TASK: one of TASKS, or TOGETHER's list)
. "$(dirname "$0")/experiment.sh"
[ "$PROCESSES" = 1 ] || fail "several GPU ids, expected one: a grid makes one run at a time; \
call it once for each GPU, with other TASKs"

# dense TASK EPOCHS RATE...: fine-tune at these learning rates.
dense() {
    TASK=$1 EPOCHS=$2
    shift 2
    TRAIN_FRACTION=$(fraction_of "$TASK")
    for LEARNING_RATE in "$@"; do
        with_options train.py --do_train --seed "${ALL_SEEDS%% *}" \
            --output_dir "$RUNS/grid/$TASK/rate_${LEARNING_RATE}_epochs_$EPOCHS" || go_on_after_failure
    done
}

for task in ${*:-$TASKS ${TOGETHER:-}}; do
    case " $TASKS " in
        *" $task "*) for epochs in $GRID_EPOCHS; do dense "$task" "$epochs" $GRID_RATES; done ;;
        *) [ "$task" = "${TOGETHER:-}" ] || fail "$task: no such task, expected some of: $TASKS ${TOGETHER:-}"
           dense "$task" "$TOGETHER_EPOCHS" $TOGETHER_RATES ;;
    esac
done
"$PYTHON" -m experiments.phase_transition.grid "$RUNS/grid"
