# Sourced after common.sh: makes .venv with the pinned packages of requirements.txt, where it is missing or out of date.

# install FILE: install the packages of a requirements file into .venv, unless that was done before.
install() {
    if ! cmp -s "$1" ".venv/${1%.txt}.installed"; then
        echo "installing the packages of $1 into .venv (once; this may take some minutes)"
        quiet=-q; if [ -t 1 ]; then quiet=; fi
        .venv/bin/python -m pip install --disable-pip-version-check $quiet -r "$1"
        cp "$1" ".venv/${1%.txt}.installed"
    fi
}

if ! cmp -s requirements.txt .venv/requirements.installed; then
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "$(python3 --version 2>&1), expected Python 3.11 or newer as python3"
    .venv/bin/python -m pip --version > /dev/null 2>&1 || python3 -m venv .venv   # it may be a link to one
    install requirements.txt
fi
PYTHON=.venv/bin/python
