#!/bin/sh
# The phase transition of five tasks: every seed fine-tunes, scores, makes its own masks and rewinds them.
# It goes on where it stopped.
#
#   ./experiments/phase_transition/five_tasks/sweep.sh GPUID      (cpu,cpu: two runs side by side on two cores)
WINNING="0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"
CONTROLS="0.2 0.4 0.6"        # random and losing tickets
. "$(dirname "$0")/../../../scripts/common.sh"
. experiments/phase_transition/five_tasks/settings.sh
. experiments/phase_transition/five_tasks/hyper_parameters.sh

use_gpu "$@"
prepare
for seed in $SEEDS; do
    for task in $TASKS; do
        trained=$OUTPUT/$task/seed_$seed
        set -- "$task" "$(epochs_of "$task")" "$(rate_of "$task")"
        (PROCESSES=1; with_options "$@" train.py --do_train --do_mask --seed "$seed" --sparsities $WINNING --output_dir "$trained")
        with_options "$@" rewind.py --parallel runs --seeds "$seed" --masks "$trained/masks/winning" \
            --output_dir "$OUTPUT/$task/rewind"
        with_options "$@" rewind.py --parallel runs --seeds "$seed" --masks "$trained/masks/random" "$trained/masks/losing" \
            --sparsities $CONTROLS --output_dir "$OUTPUT/$task/rewind"
    done
    "$PYTHON" -m mt_dnn.reports $(for task in $TASKS; do echo "$OUTPUT/$task"; done) --output_dir $OUTPUT/report
done
