# What all runs of this experiment share. protocol.md says how the numbers were chosen.
ENCODER=all-MiniLM-L6-v2                         # the quickstart's: 6 layers of 12 heads
START=data/quickstart/encoders/$ENCODER
TASK_DEF=experiments/phase_transition/five_tasks/task_def.yml
TASKS="mrpc cola stsb sst movie"
TOGETHER=mrpc,cola,stsb,sst                      # in one encoder; movie shares sentences with sst
ALL_SEEDS="2018 2019 2020 2021 2022"
HOLDOUT=0.1
BATCH_SIZE=32
# float32 on every machine, so that their runs can be compared; only the last epoch is evaluated, as it alone counts.
FLAGS="--precision float32 --evaluate_every 6"
WINNING="0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"        # sparsities
CONTROLS="0.2 0.4 0.6"
CONTROL_KINDS="random losing"

GRID_RATES="5e-5 1e-4 2e-4 5e-4"
GRID_EPOCHS="3 6"
TOGETHER_RATES="1e-4 2e-4 5e-4"
TOGETHER_EPOCHS=6
INSTEAD_OF_DENSE="{heads: 14, ffns: 1}"          # what a task shares if its super ticket is the dense model: sparsity 0.2

CRITERIA="example token loss magnitude example_loss"
CRITERIA_TASKS="stsb sst"
CRITERIA_SPARSITIES="0.4 0.6"
TRANSFER_SPARSITY=0.4

# fraction_of TASK: the part of the training rows that are not held out; 2,500 rows, of sst a tenth (6,061).
fraction_of() {
    case "$1" in
        "$TOGETHER") echo 0.7575,0.3248,0.4832,0.1 ;;
        mrpc) echo 0.7575 ;;
        cola) echo 0.3248 ;;
        stsb) echo 0.4832 ;;
        sst) echo 0.1 ;;
        movie) echo 0.3479 ;;
    esac
}

# prepare: fetch the encoder and `movie`, and tokenize. The four tasks of GLUE: sh download.sh data mrpc cola stsb sst
prepare() {
    sh experiments/quickstart/fetch.sh
    "$PYTHON" prepro.py --raw_dir data --data_dir "$TOKENIZED" --task_def $TASK_DEF --init_checkpoint $START \
        $PREPRO_FLAGS
}
