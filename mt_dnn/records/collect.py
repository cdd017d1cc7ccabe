"""Collect what finished runs leave that is small into one folder, from which reports are made without the runs.

Kept of a run: its options without paths, tickets, result, metrics of every epoch, and dev predictions of up to 100 KB
without their probabilities; of a training also its importance scores. Masks are not kept: the records have the tickets
of the runs, and all other tickets that depend on the scores follow from them. See collection.py for the files.

Give the same command again as runs come in: it adds what is new and replaces what was run anew.
"""

from pathlib import Path

from data_utils.cli import run_main
from data_utils.files import alone_in, folder_for
from mt_dnn.flags.commands import CollectOptions
from mt_dnn.flags.parser import parse_options


def main() -> None:
    (options,) = parse_options(__doc__, CollectOptions)

    from mt_dnn.records.add_runs import LARGEST_PREDICTIONS, add_runs
    from mt_dnn.records.collection import read_collection

    output = Path(options.output)
    with folder_for(output.absolute()), alone_in(output.absolute().parent):  # what a second one collects adds to ours
        collection = read_collection(output, whole=True)
        before = dict(collection.runs)
        left_out = add_runs(collection, options.runs)
        collection.write()
    failed = sum("failed" in line for line in collection.runs.values())
    changed = sum(before.get(name) != line for name, line in collection.runs.items())
    size = sum(path.stat().st_size for path in collection.folder.rglob("*") if path.is_file())
    print(
        f"{collection.folder}: {len(collection.runs)} runs, {changed} of them new or changed, {failed} failed; "
        f"{len(collection.importance_files)} files of importance scores; {size / 1e6:.2f} MB"
    )
    if left_out:
        limit = f"{LARGEST_PREDICTIONS // 1000} KB"
        print(f"predictions left out: {left_out}, as they are gone or a file has more than {limit}")


if __name__ == "__main__":
    run_main(main)
