# What all commands of this experiment share; they source it. README.md says how the numbers were chosen.
ENCODER=all-MiniLM-L6-v2                         # the quickstart's: 6 layers of 12 heads
START=data/quickstart/encoders/$ENCODER
TOKENIZED=data/tokenized/five_tasks
TASK_DEF=experiments/phase_transition/five_tasks/task_def.yml
EXPERIMENT=checkpoints/five_tasks                # grid/, single/seed_*/TASK/, sharing/, report/
TASKS="mrpc cola stsb sst movie"
TOGETHER=mrpc,cola,stsb,sst,movie
ALL_SEEDS="2018 2019 2020 2021 2022"
HOLDOUT=0.1
BATCH_SIZE=32
FLAGS="--precision float32"                      # on every machine, so that their runs can be compared
WINNING="0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"
CONTROLS="0.2 0.4 0.6"                           # random and losing tickets
. scripts/steps.sh

# fraction_of TASK: the part of the training rows that are not held out; 2,500 rows, of sst a tenth (6,061).
fraction_of() {
    case "$1" in
        "$TOGETHER") echo 0.7575,0.3248,0.4832,0.1,0.3479 ;;
        mrpc) echo 0.7575 ;;
        cola) echo 0.3248 ;;
        stsb) echo 0.4832 ;;
        sst) echo 0.1 ;;
        movie) echo 0.3479 ;;
    esac
}

# begin GPUID: fetch the encoder and `movie`, and tokenize. The four tasks of GLUE: sh download.sh data mrpc cola stsb sst
begin() {
    use_gpu "$@"
    sh experiments/quickstart/fetch.sh
    "$PYTHON" prepro.py --raw_dir data --data_dir $TOKENIZED --task_def $TASK_DEF --init_checkpoint $START $PREPRO_FLAGS
}

# of_seed SEED: what follows is run with this seed, in its folder.
of_seed() {
    SEEDS=$1
    CHECKPOINTS=$EXPERIMENT/single/seed_$1
}

# of_task TASK: what follows is run on this task, with its rows and hyper-parameters.
of_task() {
    TASK=$1
    TRAIN_FRACTION=$(fraction_of "$1")
    EPOCHS=$(epochs_of "$1")
    LEARNING_RATE=$(rate_of "$1")
}
