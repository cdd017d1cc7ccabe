#!/bin/sh
# Collect the records of an experiment's finished runs into its folder here, and make the reports from all its records.
#
#   ./experiments/phase_transition/collect.sh NAME
. "$(dirname "$0")/../../scripts/common.sh"
if [ $# -ne 1 ] || [ ! -f "experiments/phase_transition/$1/settings.sh" ]; then
    echo "usage: $0 NAME    (NAME: a folder of experiments/phase_transition that has settings.sh)" >&2
    exit 2
fi
HERE=experiments/phase_transition/$1
RUNS=checkpoints/$1

# collect PART RECORDS: those of the finished runs in a part of the experiment, if there are any.
collect() {
    if [ -n "$(find -L "$RUNS/$1" -name result.json 2> /dev/null)" ]; then
        "$PYTHON" -m mt_dnn.records.collect "$RUNS/$1" --output "$HERE/$2"
    else
        echo "$RUNS/$1: no finished run, so none is collected"
    fi
}

# report MODULE RECORDS OUTPUT: make a report, if there are such records.
report() {
    if [ -f "$HERE/$2/runs.jsonl" ]; then
        "$PYTHON" -m "$1" "$HERE/$2" --output_dir "$HERE/$3"
    fi
}

collect grid grid_records
collect single runs
collect sharing sharing_records
collect criteria criteria_records
report mt_dnn.reports runs report
report mt_dnn.reports criteria_records report_criteria
report mt_dnn.reports.multi_task sharing_records report_sharing
