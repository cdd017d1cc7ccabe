#!/bin/sh
# Fine-tune BERT on MNLI, score its heads and FFNs, write winning, random and losing masks.
#
#   ./scripts/train_mnli.sh GPUID
TASK=mnli
ENCODER=bert-base-uncased   # a hub name, a folder, or the name of a folder in data/encoders
EPOCHS=3
LEARNING_RATE=5e-5
BATCH_SIZE=32
SEEDS="2018"
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
train
