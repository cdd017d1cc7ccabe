# Sourced after common.sh: makes .venv with the pinned packages of requirements.txt, where it is missing or out of date.
# It is made anew where its Python is too old, is gone, or was upgraded, which leaves it without pip and packages.

# install FILE: install the packages of a requirements file into .venv, unless that was done before.
install() {
    if ! cmp -s "$1" ".venv/${1%.txt}.installed"; then
        echo "installing the packages of $1 into .venv (once; this may take some minutes)"
        quiet=-q; if [ -t 1 ]; then quiet=; fi
        .venv/bin/python -m pip install --disable-pip-version-check $quiet -r "$1"
        cp "$1" ".venv/${1%.txt}.installed"
    fi
}

RECENT='import sys; sys.exit(sys.version_info < (3, 11))'
# One that another tool made, such as uv, may lack pip. It is kept.
if [ ! -e .venv/requirements.installed ] && .venv/bin/python -c "$RECENT" 2> /dev/null; then
    .venv/bin/python -c "import pip" 2> /dev/null || .venv/bin/python -m ensurepip > /dev/null \
        || fail ".venv has no pip, and ensurepip can't install it; install it by hand, or remove .venv"
fi
if ! .venv/bin/python -c "import pip; $RECENT" 2> /dev/null; then
    command -v python3 > /dev/null || fail "no python3 found, expected Python 3.11 or newer"
    python3 -c "$RECENT" || fail "$(python3 --version 2>&1), expected Python 3.11 or newer as python3"
    if [ -L .venv ] || { [ -e .venv ] && [ ! -f .venv/pyvenv.cfg ]; }; then
        fail ".venv is a link or no virtual environment, and has no Python 3.11 or newer with pip; mend or remove it"
    fi
    [ ! -e .venv ] || echo ".venv has no pip, or no Python 3.11 or newer that runs; it is made anew"
    python3 -m venv --clear .venv
fi
install requirements.txt
PYTHON=.venv/bin/python
