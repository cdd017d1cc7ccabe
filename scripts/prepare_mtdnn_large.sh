#!/bin/sh
# Fine-tune BERT-large on each of the eight tasks, score its heads and FFNs, write masks: step 1 of tickets sharing.
#
#   ./scripts/prepare_mtdnn_large.sh GPUID
#
# Tasks that are finished are skipped.
ENCODER=bert-large-uncased   # a hub name, a folder, or the name of a folder in data/encoders
EPOCHS_BY_TASK="mnli=3 qqp=5 qnli=5 sst=4 mrpc=6 cola=6 rte=6 stsb=6"
LEARNING_RATE=5e-5   # here and below the same as in train_mtdnn.sh: tickets do best under the settings that found them
BATCH_SIZE=32
SEEDS="2018"
MASK_SPARSITIES="0.025 0.050 0.075 0.100 0.125 0.150 0.175 0.200 0.225 0.250
                0.275 0.300 0.325 0.350 0.375 0.400 0.425 0.450 0.475 0.500
                0.525 0.550 0.575 0.600 0.625 0.650 0.675 0.700 0.725 0.750
                0.775 0.800 0.825 0.850 0.875 0.900 0.925 0.950 0.975 1.000
                0.30:0.25 0.35:0.30 0.40:0.35"   # heads and FFNs apart: the super tickets of MRPC, SST and CoLA
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
train_all $EPOCHS_BY_TASK
