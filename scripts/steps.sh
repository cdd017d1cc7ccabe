# The body that all scripts with a GPUID share, but the quickstart: the steps from fine-tuning to rewound tickets.
# Scripts set TASK (several, separated by commas, share one encoder), ENCODER, EPOCHS, LEARNING_RATE, BATCH_SIZE and SEEDS;
# several SEEDS are "2018 2019 2020", each of which fine-tunes, makes its own masks and rewinds them. What they set beyond
# that goes before the defaults here.
. "$(dirname "$0")/common.sh"

: "${OPTIMIZER:=adamax}"
: "${MASK_SPARSITIES:=0.05 0.10 0.15 0.20 0.25 0.30 0.35 0.40 0.45 0.50 0.55 0.60 0.65 0.70 0.75 0.80 0.85 0.90 0.95 1.00}"
: "${SPARSITIES:=0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8}"   # those that are rewound
: "${TRAIN_FRACTION:=1.0}"                           # part of the training rows
: "${HOLDOUT:=0.0}"                                   # part of the training rows held out, to choose the super ticket on
: "${ENCODER_DROPOUT:=0.1}"
: "${SAVE_MODEL:=no}"                                # yes: keep every rewound model, to export it or to predict with it
: "${START:=$ENCODER}"                               # the weights to start from, where these are not the encoder's own
: "${CHECKPOINTS:=checkpoints/$(basename "$ENCODER")}"

# output: the folder of the task.
output() { echo "${OUTPUT:-$CHECKPOINTS/$TASK}"; }

# with_options COMMAND...: run train.py or rewind.py with everything that both must agree on.
with_options() {
    launch "$@" --device "$DEVICE" --data_dir "data/tokenized/$(basename "$ENCODER")" --init_checkpoint "$(checkpoint "$START")" \
        --train_datasets "$TASK" --holdout "$HOLDOUT" --train_fraction "$TRAIN_FRACTION" --encoder_dropout "$ENCODER_DROPOUT" --epochs "$EPOCHS" --batch_size "$BATCH_SIZE" \
        --learning_rate "$LEARNING_RATE" --optimizer "$OPTIMIZER"
}

# Fine-tune.
fine_tune() {
    with_options train.py --do_train --output_dir "$(output)" --seed "${SEEDS%% *}"
}

# output_of SEED: the folder of a seed's model and masks; those of the first seed lie in the task's own.
output_of() { if [ "$1" = "${SEEDS%% *}" ]; then output; else echo "$(output)/seed_$1"; fi; }

# train_seed SEED: fine-tune, score heads and FFNs, write masks.
train_seed() {
    with_options train.py --do_train --do_mask --output_dir "$(output_of "$1")" --seed "$1" --sparsities $MASK_SPARSITIES
}

# The same with every seed.
train() {
    for seed in $SEEDS; do train_seed "$seed"; done
}

# train_all TASK=EPOCHS...: train on tasks one after another.
train_all() {
    for entry in "$@"; do
        TASK=${entry%=*}
        EPOCHS=${entry#*=}
        train
    done
}

# rewind KIND...: rewind the tickets of these kinds and report. Fine-tunes first where that was not done.
# Several GPUs share the runs. Where some of them fail, the others are done and reported, and the script ends with status 1.
FAILED=0
trap '[ $? != 0 ] || exit $FAILED' EXIT
go_on_after_failure() { FAILED=$?; [ "$FAILED" = 1 ] || exit "$FAILED"; }
rewind() {
    for seed in $SEEDS; do
        train_seed "$seed" || { go_on_after_failure; continue; }
        masks=""
        for kind in "$@"; do masks="$masks $(output_of "$seed")/masks/$kind"; done
        with_options rewind.py $([ "$SAVE_MODEL" != yes ] || echo --save_model) --parallel runs --masks $masks --sparsities $SPARSITIES --seeds "$seed" --output_dir "$(output)/rewind" || go_on_after_failure
    done
    "$PYTHON" -m mt_dnn.reports "$(output)"
}
