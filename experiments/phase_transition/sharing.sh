#!/bin/sh
# Tickets sharing, after sweep.sh and collect.sh: MT-DNN, the super tickets that the collected runs choose on held-out
# rows, and random tickets of the same sizes.
#
#   ./experiments/phase_transition/sharing.sh NAME GPUID [SEED...]
. "$(dirname "$0")/experiment.sh"

[ -n "${TOGETHER:-}" ] || fail "experiments/phase_transition/$NAME/settings.sh: TOGETHER is empty, expected the tasks to \
train in one encoder"
CHOSEN=experiments/phase_transition/$NAME/report/super_tickets_held_out.yml
[ -f "$CHOSEN" ] || fail "$CHOSEN: no such file, expected the super tickets that collect.sh's report chose"
chosen() { grep -E "^'?($(echo "$TOGETHER" | tr , "|"))'?:" "$CHOSEN"; }   # the lines of the tasks to train
for task in $(echo "$TOGETHER" | tr , " "); do
    chosen | grep -qE "^'?$task'?:" || fail "$CHOSEN: no line for $task, expected one for every task of TOGETHER; \
run sweep.sh $NAME and collect.sh $NAME with it before"
done
no_ticket=$(chosen | grep ": null" | cut -d: -f1 | tr "\n" " ")
[ -z "$no_ticket" ] || fail "$CHOSEN: no super ticket for ${no_ticket% }, as the dense model is not better than the \
baseline; expected one for every task: take other hyper-parameters for it, or leave it out of TOGETHER"
n_seeds=$(echo "$ALL_SEEDS" | wc -w)
unfinished=$(chosen | grep -vE " $((n_seeds)) seeds?$" | cut -d: -f1 | tr "\n" " ")
[ -z "$unfinished" ] || fail "$CHOSEN: not all $((n_seeds)) seeds chose for ${unfinished% }, expected the whole sweep; \
run collect.sh $NAME after it"
SUPER_TICKETS=$RUNS/sharing/super_tickets.yml
mkdir -p "$RUNS/sharing"
chosen | sed "s/{heads: 0, ffns: 0}.*/$INSTEAD_OF_DENSE   # the dense model is chosen/" > "$SUPER_TICKETS.$$"
mv "$SUPER_TICKETS.$$" "$SUPER_TICKETS"
of_task "$TOGETHER"
restore_masks
for seed in ${*:-$ALL_SEEDS}; do
    for kind in winning random; do
        "$PYTHON" construct_mtl_mask.py --super_tickets "$SUPER_TICKETS" \
            --checkpoints "$RUNS/single/seed_$seed" --kind $kind \
            --output "$RUNS/sharing/masks/seed_$seed/$kind/super_tickets.json"
    done
    (PROCESSES=1; with_options train.py --do_train --seed "$seed" --output_dir "$RUNS/sharing/dense/seed_$seed") ||
        go_on_after_failure
    with_options rewind.py --parallel runs --masks "$RUNS/sharing/masks/seed_$seed" --seeds "$seed" \
        --output_dir "$RUNS/sharing" || go_on_after_failure
    report mt_dnn.reports.multi_task "$RUNS/sharing"
done
