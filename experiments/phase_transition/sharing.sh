#!/bin/sh
# Tickets sharing, after sweep.sh: MT-DNN, the super tickets that sweep.sh chose on held-out rows, and random tickets of
# the same sizes.
#
#   ./experiments/phase_transition/sharing.sh NAME GPUID [SEED...]
. "$(dirname "$0")/steps.sh"

SUPER_TICKETS=$RUNS/report/super_tickets_held_out.yml
[ -f "$SUPER_TICKETS" ] || fail "$SUPER_TICKETS: no such file, expected the super tickets that sweep.sh's report chose"
if ! grep -q 'heads: [1-9]' "$SUPER_TICKETS"; then   # the dense model everywhere: sparsity 0.1, as the protocol says
    SUPER_TICKETS=$RUNS/sharing/super_tickets_at_0.1.yml
    mkdir -p "$RUNS/sharing"
    for task in $TASKS; do echo "$task: {heads: 7, ffns: 0}"; done > "$SUPER_TICKETS"
fi
of_task "$TOGETHER"
for seed in $ALL_SEEDS; do
    (PROCESSES=1; with_options train.py --do_train --seed "$seed" --output_dir "$RUNS/sharing/dense/seed_$seed")
    for kind in winning random; do
        "$PYTHON" construct_mtl_mask.py --super_tickets "$SUPER_TICKETS" \
            --checkpoints "$RUNS/single/seed_$seed" --kind $kind \
            --output "$RUNS/sharing/masks/seed_$seed/$kind/super_tickets.json"
    done
    with_options rewind.py --parallel runs --masks "$RUNS/sharing/masks/seed_$seed" --seeds "$seed" \
        --output_dir "$RUNS/sharing"
    "$PYTHON" -m mt_dnn.reports.multi_task "$RUNS/sharing"
done
