#!/bin/sh
# Tickets sharing, after sweep.sh: MT-DNN, the super tickets that sweep.sh chose on held-out rows, and random tickets of
# the same sizes.
#
#   ./experiments/phase_transition/sharing.sh NAME GPUID
. "$(dirname "$0")/steps.sh"

of_task "$TOGETHER"
for seed in $ALL_SEEDS; do
    (PROCESSES=1; with_options train.py --do_train --seed "$seed" --output_dir "$RUNS/sharing/dense/seed_$seed")
    for kind in winning random; do
        "$PYTHON" construct_mtl_mask.py --super_tickets "$RUNS/report/super_tickets_held_out.yml" \
            --checkpoints "$RUNS/single/seed_$seed" --kind $kind \
            --output "$RUNS/sharing/masks/seed_$seed/$kind/super_tickets.json"
    done
    with_options rewind.py --parallel runs --masks "$RUNS/sharing/masks/seed_$seed" --seeds "$seed" \
        --output_dir "$RUNS/sharing"
    "$PYTHON" -m mt_dnn.reports.multi_task "$RUNS/sharing"
done
