# Sourced by the commands of an experiment: NAME is a folder here that has settings.sh (encoder, tasks, rows, seeds,
# tickets) and hyper_parameters.sh (what grid.sh chose). Its runs lie in checkpoints/NAME: grid/, single/seed_*/TASK/,
# sharing/, criteria/seed_*/TASK/, and the reports. The steps of a seed are those of scripts/steps.sh.
. "$(dirname "$0")/../../scripts/common.sh"
if [ $# -lt 2 ] || [ ! -f "experiments/phase_transition/$1/settings.sh" ]; then
    echo "usage: $0 NAME GPUID [...]    (NAME: a folder of experiments/phase_transition that has settings.sh)" >&2
    exit 2
fi
NAME=$1
RUNS=checkpoints/$NAME
TOKENIZED=data/tokenized/$NAME
. "experiments/phase_transition/$NAME/settings.sh"
epochs_of() { :; }
rate_of() { :; }
if [ -f "experiments/phase_transition/$NAME/hyper_parameters.sh" ]; then   # not before the grid
    . "experiments/phase_transition/$NAME/hyper_parameters.sh"
fi
. scripts/steps.sh
use_gpu "$2"
shift 2
prepare

# restore_masks: write the masks of the collected sweep, for a machine that has not run it.
restore_masks() {
    "$PYTHON" -m experiments.phase_transition.restore_masks "experiments/phase_transition/$NAME/runs" "$RUNS" \
        --sparsities $WINNING $CONTROLS
}

# of_seed SEED PART: what follows is run with this seed, in its folder of this part of the experiment.
of_seed() {
    SEEDS=$1
    CHECKPOINTS=$RUNS/$2/seed_$1
}

# of_task TASK: what follows is run on this task, with its rows and hyper-parameters.
of_task() {
    TASK=$1
    TRAIN_FRACTION=$(fraction_of "$1")
    EPOCHS=$(epochs_of "$1")
    LEARNING_RATE=$(rate_of "$1")
    [ -n "$EPOCHS" ] && [ -n "$LEARNING_RATE" ] ||
        fail "experiments/phase_transition/$NAME/hyper_parameters.sh: no epochs or no learning rate for $1, expected \
what grid.sh found to be best"
}
