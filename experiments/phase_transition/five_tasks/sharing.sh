#!/bin/sh
# Tickets sharing of the five tasks, after sweep.sh: MT-DNN, the super tickets that sweep.sh chose on held-out rows, and
# random tickets of the same sizes.
#
#   ./experiments/phase_transition/five_tasks/sharing.sh GPUID
. "$(dirname "$0")/../../../scripts/common.sh"
. experiments/phase_transition/five_tasks/settings.sh
. experiments/phase_transition/five_tasks/hyper_parameters.sh
SUPER_TICKETS=$EXPERIMENT/report/super_tickets_held_out.yml

begin "$@"
of_task $TOGETHER
for seed in $ALL_SEEDS; do
    (PROCESSES=1; with_options train.py --do_train --seed "$seed" --output_dir "$EXPERIMENT/sharing/dense/seed_$seed")
    for kind in winning random; do
        "$PYTHON" construct_mtl_mask.py --super_tickets "$SUPER_TICKETS" --checkpoints "$EXPERIMENT/single/seed_$seed" \
            --kind $kind --output "$EXPERIMENT/sharing/masks/seed_$seed/$kind/super_tickets.json"
    done
    with_options rewind.py --parallel runs --masks "$EXPERIMENT/sharing/masks/seed_$seed" --seeds "$seed" \
        --output_dir $EXPERIMENT/sharing
    "$PYTHON" -m mt_dnn.reports.multi_task $EXPERIMENT/sharing
done
