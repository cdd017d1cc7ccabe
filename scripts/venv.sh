# Sourced after common.sh: makes .venv with the pinned requirements where it is missing or out of date.
if ! cmp -s requirements.txt .venv/requirements.installed; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$0: error: $(python3 --version 2>&1), expected Python 3.11 or newer as python3" >&2; exit 2; }
    echo "installing the packages of requirements.txt into .venv (once; some minutes)"
    python3 -m venv .venv
    quiet=-q; if [ -t 1 ]; then quiet=; fi
    .venv/bin/python -m pip install --disable-pip-version-check $quiet -r requirements.txt
    cp requirements.txt .venv/requirements.installed
fi
PYTHON=.venv/bin/python
