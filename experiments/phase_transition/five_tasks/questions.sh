#!/bin/sh
# Which criterion? Do tickets transfer? Two questions, after sweep.sh.
#
#   ./experiments/phase_transition/five_tasks/questions.sh GPUID
CRITERIA="token loss magnitude"
CRITERIA_TASKS="stsb movie"
CRITERIA_SPARSITIES="0.2 0.4"
TRANSFER_SEEDS="2018 2019 2020"
TRANSFER_SPARSITY=0.4
. "$(dirname "$0")/../../../scripts/common.sh"
. experiments/phase_transition/five_tasks/settings.sh
. experiments/phase_transition/five_tasks/hyper_parameters.sh

begin "$@"
MASK_SPARSITIES=$WINNING
SPARSITIES=$CRITERIA_SPARSITIES
for seed in $ALL_SEEDS; do
    of_seed "$seed"
    for task in $CRITERIA_TASKS; do
        of_task "$task"
        for criterion in $CRITERIA; do
            (PROCESSES=1 TRAIN_FLAGS="--criterion $criterion"; train_seed "$seed")
            rewind_seed "$seed" "$criterion/winning"
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
"$PYTHON" -m mt_dnn.reports $EXPERIMENT/single --output_dir $EXPERIMENT/report
