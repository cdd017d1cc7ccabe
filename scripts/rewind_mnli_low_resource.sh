#!/bin/sh
# The phase transition of MNLI with few training rows: find tickets on 1 %, 10 % and 20 % of them, and rewind winning,
# random and losing ones on the same rows.
#
#   ./scripts/rewind_mnli_low_resource.sh GPUID
TASK=mnli
ENCODER=bert-base-uncased   # a hub name, a folder, or the name of a folder in data/encoders
EPOCHS_BY_FRACTION="0.01=6 0.1=3 0.2=3"
LEARNING_RATE=1e-4
BATCH_SIZE=32
SEEDS="2018"
SPARSITIES="0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
ALL_CHECKPOINTS=$CHECKPOINTS
for entry in $EPOCHS_BY_FRACTION; do
    TRAIN_FRACTION=${entry%=*}
    EPOCHS=${entry#*=}
    CHECKPOINTS=$ALL_CHECKPOINTS/low_resource/rows_$TRAIN_FRACTION
    rewind winning random losing
done
