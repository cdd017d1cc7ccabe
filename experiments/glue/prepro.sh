#!/bin/sh
# Tokenize the train and dev splits of GLUE, SNLI and SciTail, as download.sh lays them out:
# data/glue -> data/tokenized/<encoder>.
#
#   sh experiments/glue/prepro.sh [--tasks TASK,TASK...]      (flags go to prepro.py)
#
# Splits that are up to date are skipped. Where files of a task are missing, the others are tokenized; the last line
# lists what is missing.
ENCODER=bert-base-uncased   # a hub name, a folder, or the name of a folder in data/encoders
TASK_DEF=experiments/glue/glue_task_def.yml
TOKENIZED="data/tokenized/$(basename "$ENCODER")"   # where the splits go
MAX_SEQ_LEN=512
PREPRO_FLAGS=""             # more flags of prepro.py, such as "--skip_bad_rows"
. "$(dirname "$0")/../../scripts/common.sh"
"$PYTHON" prepro.py --raw_dir data/glue --data_dir "$TOKENIZED" --task_def "$TASK_DEF" \
    --init_checkpoint "$(checkpoint "$ENCODER")" --max_seq_len "$MAX_SEQ_LEN" $PREPRO_FLAGS "$@"
