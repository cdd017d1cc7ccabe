#!/bin/sh
# The phase transition of a small encoder on three small tasks of GLUE: all kinds of tickets at eight sparsities.
# experiments/phase_transition/minilm shows what came out.
#
#   sh download.sh data stsb mrpc cola
#   ./scripts/sweep_minilm.sh GPUID      (on several machines: on one first, until the data is tokenized)
ENCODER=all-MiniLM-L6-v2    # the quickstart's: 6 layers of 12 heads
EPOCHS=2
LEARNING_RATE=5e-4          # ten times BERT-base's: the encoder is small and the updates are few
ENCODER_DROPOUT=0.0         # learns faster in so few updates
HOLDOUT=0.1
SEEDS="2018 2019 2020"
SPARSITIES="0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8"
TASKS="stsb:0.25:16 mrpc:0.5:16 cola:0.75:32"   # each with its part of the training rows and its batch size
MASK_SPARSITIES=$SPARSITIES
START=data/quickstart/encoders/$ENCODER
. "$(dirname "$0")/steps.sh"   # more settings are at its top; set one above this line to overrule it

use_gpu "$@"
sh experiments/quickstart/fetch.sh
"$PYTHON" prepro.py --init_checkpoint "$START" --data_dir "$TOKENIZED" --tasks stsb,mrpc,cola $PREPRO_FLAGS
for entry in $TASKS; do
    TASK=${entry%%:*}
    TRAIN_FRACTION=${entry#*:}; TRAIN_FRACTION=${TRAIN_FRACTION%:*}
    BATCH_SIZE=${entry##*:}
    rewind winning random losing
done
"$PYTHON" -m mt_dnn.reports "$CHECKPOINTS"
