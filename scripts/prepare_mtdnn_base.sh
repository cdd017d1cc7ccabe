#!/bin/sh
# Fine-tune BERT-base on each of the eight tasks, score its heads and FFNs, write masks: step 1 of tickets sharing.
#
#   ./scripts/prepare_mtdnn_base.sh GPUID
#
# Tasks that are finished are skipped.
ENCODER=bert-base-uncased   # a hub name, a folder, or the name of a folder in data/encoders
EPOCHS_BY_TASK="mnli=3 qqp=6 qnli=3 sst=6 mrpc=6 cola=6 rte=6 stsb=6"
LEARNING_RATE=5e-5   # here and below the same as in train_mtdnn.sh: tickets do best under the settings that found them
BATCH_SIZE=32
SEEDS="2018"
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
train_all $EPOCHS_BY_TASK
