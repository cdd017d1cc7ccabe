# Sourced by the scripts that take a GPUID: the steps from fine-tuning to rewound tickets.
# A script sets TASK, ENCODER, EPOCHS, LEARNING_RATE, BATCH_SIZE and SEEDS. Tasks separated by commas share one encoder.
# Several SEEDS are "2018 2019 2020"; for each of them a model is fine-tuned, and its own masks are made and rewound.
# A variable that a script sets above the line that sources this file keeps its value, and so does one that your shell
# exports. The others get the defaults, and so do empty ones.
command -v use_gpu > /dev/null || . "$(dirname "$0")/common.sh"   # unless a script outside of scripts/ did so before

: "${OPTIMIZER:=adamax}"
: "${MASK_SPARSITIES:=0.05 0.10 0.15 0.20 0.25 0.30 0.35 0.40 0.45 0.50
                    0.55 0.60 0.65 0.70 0.75 0.80 0.85 0.90 0.95 1.00}"
: "${SPARSITIES:=0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8}"   # those that are rewound
: "${TRAIN_FRACTION:=1.0}"                           # part of the training rows
: "${HOLDOUT:=0.0}"                                  # part of the training rows held out, to choose the super ticket on
: "${ENCODER_DROPOUT:=0.1}"
: "${CRITERION:=example}"                            # of importance: a name in mt_dnn/tickets/criteria.py
: "${SAVE_MODEL:=no}"                                # yes: keep every rewound model, to export it or to predict with it
: "${FLAGS:=}"                                       # more flags of train.py and rewind.py, such as "--warmup 0.06"
: "${TRAIN_FLAGS:=}"                                 # flags of train.py alone, such as "--min_heads_per_layer 2"
: "${REWIND_FLAGS:=}"                                # flags of rewind.py alone, such as "--keep_gates"
: "${PREPRO_FLAGS:=}"                                # flags of prepro.py, where a script calls it
: "${START:=$ENCODER}"                               # the weights to start from, where these are not the encoder's own
: "${TASK_DEF:=experiments/glue/glue_task_def.yml}"
: "${TOKENIZED:=data/tokenized/$(basename "$ENCODER")}"   # tokenized splits
: "${CHECKPOINTS:=checkpoints/$(basename "$ENCODER")}"

# Folders are named by these, or the steps after each other depend on them.
for flag in $FLAGS $TRAIN_FLAGS $REWIND_FLAGS; do
    case ${flag%%=*} in
        --criterion) setting=CRITERION ;;
        --seed) setting=SEEDS ;;
        --train_datasets) setting=TASK ;;
        --output_dir) setting=CHECKPOINTS ;;
        *) continue ;;
    esac
    fail "${flag%%=*} in FLAGS, TRAIN_FLAGS or REWIND_FLAGS, expected $setting: folders depend on it"
done

# yes_or_no NAME VALUE: refuse another value than yes or no.
yes_or_no() { case $2 in yes | no) ;; *) fail "$1=$2, expected yes or no" ;; esac; }
yes_or_no SAVE_MODEL "$SAVE_MODEL"

# output: the folder of the task.
output() { echo "$CHECKPOINTS/$TASK"; }

# with_options COMMAND...: run train.py or rewind.py with everything that both must agree on. FLAGS come last: they win.
with_options() {
    more=$TRAIN_FLAGS
    if [ "$1" = rewind.py ]; then
        more=$REWIND_FLAGS
        if [ "$SAVE_MODEL" = yes ]; then set -- "$@" --save_model; fi
    fi
    launch "$@" --device "$DEVICE" --data_dir "$TOKENIZED" --task_def "$TASK_DEF" \
        --init_checkpoint "$(checkpoint "$START")" --encoder_dropout "$ENCODER_DROPOUT" \
        --train_datasets "$TASK" --holdout "$HOLDOUT" --train_fraction "$TRAIN_FRACTION" \
        --epochs "$EPOCHS" --batch_size "$BATCH_SIZE" --learning_rate "$LEARNING_RATE" --optimizer "$OPTIMIZER" \
        $FLAGS $more
}

# Where a run fails (out of memory, diverged), the others are done, and the script ends with status 1. Where the system
# kills one, the script ends.
FAILED=0
trap '[ $? != 0 ] || exit $FAILED' EXIT
go_on_after_failure() { FAILED=$?; [ "$FAILED" = 1 ] || exit "$FAILED"; }

# report MODULE FOLDER...: make and print a report. Where it can't be made, as no run is finished, the script goes on.
report() {
    status=0
    "$PYTHON" -m "$@" || status=$?
    [ "$status" -le 2 ] || exit "$status"
    [ "$status" = 0 ] || FAILED=1
}

# output_of SEED: the folder of a seed's model and masks; those of the first seed are in the task's own folder.
output_of() { if [ "$1" = "${SEEDS%% *}" ]; then output; else echo "$(output)/seed_$1"; fi; }

# take_turns STEP ITEM...: call STEP with each item. If several processes call the script, each takes an item that no
# other works on. At the end they wait for the others, and take up what a killed one left.
take_turns() {
    step=$1; shift
    for IF_LOCKED in --skip_locked ""; do
        others=""
        for item in "$@"; do
            status=0
            "$step" "$item" || status=$?
            case $status in
                0) ;;
                1) FAILED=1 ;;
                75) others="$others $item" ;;   # locked
                *) exit "$status" ;;
            esac
        done
        set -- $others
    done
}

# train_seed SEED: fine-tune, score heads and FFNs, write masks.
train_seed() {
    with_options train.py --do_train --do_mask --criterion "$CRITERION" --output_dir "$(output_of "$1")" --seed "$1" \
        --sparsities $MASK_SPARSITIES ${IF_LOCKED:-}
}

# train: the same with every seed.
train() { take_turns train_seed $SEEDS; }

# train_all TASK=EPOCHS...: the same on several tasks.
train_all() {
    items=""
    for entry in "$@"; do
        case $entry in ?*=?*) ;; *) fail "EPOCHS_BY_TASK: '$entry', expected TASK=EPOCHS" ;; esac
        for seed in $SEEDS; do items="$items $entry=$seed"; done
    done
    take_turns train_item $items
}

# train_item TASK=EPOCHS=SEED
train_item() {
    TASK=${1%%=*}
    EPOCHS=${1#*=}; EPOCHS=${EPOCHS%=*}
    train_seed "${1##*=}"
}

# masks FOLDER KIND: where the masks of this kind are; by another criterion than the default, in a folder of its own.
masks() { if [ -d "$1/masks/$CRITERION/$2" ]; then echo "$1/masks/$CRITERION/$2"; else echo "$1/masks/$2"; fi; }

# rewind_seed SEED KIND...: rewind a seed's tickets of these kinds. Several GPUs share the runs.
rewind_seed() {
    seed=$1; shift
    folder=$(output_of "$seed")
    for kind in "$@"; do shift; set -- "$@" "$(masks "$folder" "$kind")"; done
    with_options rewind.py --parallel runs --masks "$@" --sparsities $SPARSITIES --seeds "$seed" \
        --output_dir "$(output)/rewind"
}

# rewind KIND...: rewind the tickets of these kinds and report. Fine-tunes first where that was not done. There are masks
# at MASK_SPARSITIES and SPARSITIES.
rewind() {
    KINDS="$*"
    take_turns train_and_rewind_seed $SEEDS
    report mt_dnn.reports "$(output)"
}

# train_and_rewind_seed SEED
train_and_rewind_seed() {
    (MASK_SPARSITIES="$MASK_SPARSITIES $SPARSITIES"; train_seed "$1") || return
    rewind_seed "$1" $KINDS
}
