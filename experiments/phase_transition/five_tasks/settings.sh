# What all commands of this experiment share; sourced by them. README.md says how the numbers were chosen.
ENCODER=all-MiniLM-L6-v2                         # the quickstart's: 6 layers of 12 heads
START=data/quickstart/encoders/$ENCODER
DATA=data/tokenized/five_tasks
TASK_DEF=experiments/phase_transition/five_tasks/task_def.yml
OUTPUT=checkpoints/five_tasks
TASKS="mrpc cola stsb sst movie"
SEEDS="2018 2019 2020 2021 2022"
HOLDOUT=0.1
BATCH_SIZE=32
PRECISION=float32                                # on every machine, so that runs of several machines can be compared

# fraction_of TASK: the part of the training rows that are not held out; 2,500 rows, of sst a tenth (6,061).
fraction_of() {
    case "$1" in
        mrpc) echo 0.7575 ;;
        cola) echo 0.3248 ;;
        stsb) echo 0.4832 ;;
        sst) echo 0.1 ;;
        movie) echo 0.3479 ;;
    esac
}

# prepare: fetch the encoder and `movie`, and tokenize. The four tasks of GLUE come by: sh download.sh data mrpc cola stsb sst
prepare() {
    sh experiments/quickstart/fetch.sh
    "$PYTHON" prepro.py --raw_dir data --data_dir $DATA --task_def $TASK_DEF --init_checkpoint $START
}

# with_options TASK EPOCHS RATE COMMAND...: run train.py or rewind.py on a task.
with_options() {
    task=$1 epochs=$2 rate=$3; shift 3
    launch "$@" --device "$DEVICE" --precision $PRECISION --data_dir $DATA --task_def $TASK_DEF --init_checkpoint $START \
        --train_datasets "$task" --holdout $HOLDOUT --train_fraction "$(fraction_of "$task")" \
        --batch_size $BATCH_SIZE --epochs "$epochs" --learning_rate "$rate"
}
