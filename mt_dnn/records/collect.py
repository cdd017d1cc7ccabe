"""Collect what finished runs leave that is small into one folder, from which reports are made without the runs.

Kept of a run: its options without paths, tickets, result, metrics of every epoch, and dev predictions of up to 100 KB
without their probabilities; of a training also its importance scores. Masks are not kept: the records have the tickets
of the runs, and all other tickets that depend on the scores follow from them. See collection.py for the files.

Give the same command again as runs come in: it adds what is new and replaces what was run anew.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.json_file import read_json_lines
from mt_dnn.flags.commands import CollectOptions
from mt_dnn.flags.parser import parse_options
from mt_dnn.run_folder import RunFolder

if TYPE_CHECKING:
    from mt_dnn.records.collection import Collection

LARGEST_PREDICTIONS = 100_000  # bytes of a file of dev predictions that is kept
MACHINE = {"device", "precision"}  # options of a run that may change when it is done anew


def main() -> None:
    (options,) = parse_options(__doc__, CollectOptions)

    from mt_dnn.records.collection import read_collection

    collection = read_collection(Path(options.output), whole=True)
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


def add_runs(collection: "Collection", folders: list[str]) -> int:
    """Add all runs and importance scores below `folders`; return how many files of predictions are left out.

    Raises UserError where two folders have the same name, as their runs are told apart by it, and where a run of the
    collection has the name of another one.
    """
    from mt_dnn.records.record import (
        collected_records,
        names_of,
        read_failures,
        read_importance_files,
        read_run_folders,
        refuse_difference,
        removed_meanwhile,
    )

    names, left_out, found = names_of(folders), 0, False
    if shared := [str(folder) for folder, name in names.items() if "/" in name]:
        raise UserError(f"{', '.join(shared)}: two of them have the same name; give the folder above them")
    known = {record.name: record for record in collected_records(collection)}
    for folder, name in names.items():
        for record in read_run_folders(folder, name):
            if record.name in known:
                refuse_difference(known[record.name], record, record.options.keys() - MACHINE)
            files = RunFolder(record.place)
            with removed_meanwhile(files.result):
                epochs = [line for _, line in read_json_lines(files.metrics, "metrics of an epoch")]
                collection.add(record.name, record.options, record.result, record.baseline, epochs)
                for dev_set in record.result["dev"]:
                    file = record.predictions_file(dev_set)
                    if file.exists() and file.stat().st_size <= LARGEST_PREDICTIONS:
                        collection.add_predictions(dev_set, record.name, record.predictions(dev_set))
                    else:
                        left_out += 1
            found = True
    if not found:
        raise UserError(f"{', '.join(map(str, names))}: no finished run (result.json), expected folders of runs")
    for name, place, why in read_failures(names):
        if "result" in collection.runs.get(name, {}):
            print(f"{place}: failed, but the collection has its result from before, which is kept")
        else:
            collection.runs[name] = {"run": name, "failed": why}
    for name, (_, content) in read_importance_files(names).items():
        collection.importance_files[name] = {"file": name, **content}
    return left_out


if __name__ == "__main__":
    run_main(main)
