# What all commands of this experiment share; sourced by them. README.md says how the numbers were chosen.
ENCODER=all-MiniLM-L6-v2                         # the quickstart's: 6 layers of 12 heads
START=data/quickstart/encoders/$ENCODER
DATA=data/tokenized/five_tasks
TASK_DEF=experiments/phase_transition/five_tasks/task_def.yml
OUTPUT_ROOT=checkpoints/five_tasks
TASKS="mrpc cola stsb sst movie"
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
