#!/usr/bin/env bash
# The tests, in .venv (made if missing), in two processes. Each takes the next file of tests, in order: the longest come
# early.
#
#   bash scripts/test.sh             the quick tests, three to seven minutes on two cores
#   bash scripts/test.sh --all       all tests, up to 22 minutes: the slow ones too, the ONNX export (its packages are
#                                    installed), and those on the quickstart's encoder and sentences (fetched from PyPI)
#   bash scripts/test.sh ARGS        arguments go to pytest: tests/tickets, -k NAME, -m slow, -n 0 (one process), ...
. "$(dirname "$0")/common.sh"
. scripts/venv.sh
case " $* " in *" --all "*) install requirements-onnx.txt ;; esac
export PYTHONUTF8=1   # tests read files as UTF-8, whatever the locale
exec "$PYTHON" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
