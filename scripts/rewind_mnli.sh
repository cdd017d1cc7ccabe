#!/bin/sh
# Rewind winning, random and losing tickets of MNLI at several sparsities (fine-tunes first where that was not done),
# and report.
#
#   ./scripts/rewind_mnli.sh GPUID
TASK=mnli
ENCODER=bert-base-uncased   # a hub name, a folder, or the name of a folder in data/encoders
EPOCHS=3
LEARNING_RATE=5e-5
BATCH_SIZE=32
SEEDS="2018"
SPARSITIES="0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
rewind winning random losing
