# What all runs of this experiment share. protocol.md says how the numbers were chosen.
ENCODER=all-mpnet-base-v2                        # of BERT-base's size: 12 layers of 12 heads
START=data/encoders/$ENCODER                     # docs/encoders.md fetches it
TASKS="mrpc"
TOGETHER=
ALL_SEEDS="2018 2019 2020 2021 2022"
HOLDOUT=0.1
BATCH_SIZE=32
FLAGS="--precision bfloat16 --evaluate_every 3"  # only the last epoch is evaluated, as it alone counts
WINNING="0.1 0.2 0.3 0.5"                        # sparsities
CONTROLS="0.2 0.5"
CONTROL_KINDS="random"

GRID_RATES="5e-5 1e-4 2e-4"
GRID_EPOCHS="3"

fraction_of() { echo 1.0; }

# prepare: tokenize. The task: sh download.sh data mrpc
prepare() {
    "$PYTHON" prepro.py --data_dir "$TOKENIZED" --init_checkpoint $START --tasks mrpc $PREPRO_FLAGS
}
