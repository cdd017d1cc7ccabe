#!/bin/sh
# Fine-tune BERT on MNLI, score its heads and FFNs, write winning, random and losing masks.
#
#   ./scripts/train_mnli.sh GPUID
TASK=mnli
EPOCHS=3
LEARNING_RATE=5e-5
BATCH_SIZE=32
SEEDS="2018"
. "$(dirname "$0")/single_task.sh"   # the other settings are at its top; set one here to overrule it

use_gpu "$@"
train
