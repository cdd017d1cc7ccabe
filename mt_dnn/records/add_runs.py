"""Add what finished runs leave to a collection of records."""

from data_utils.errors import UserError
from data_utils.json_file import read_json_lines
from mt_dnn.records.collection import Collection
from mt_dnn.records.record import (
    collected_records,
    names_of,
    read_failures,
    read_importance_files,
    read_run_folders,
    refuse_difference,
    removed_meanwhile,
)
from mt_dnn.run_config import OF_THE_MACHINE
from mt_dnn.run_folder import RunFolder

LARGEST_PREDICTIONS = 100_000  # bytes of a file of dev predictions that is kept


def add_runs(collection: Collection, folders: list[str]) -> int:
    """Add all runs and importance scores below `folders`; return how many files of predictions are left out.

    Raises UserError where two folders have the same name, as their runs are told apart by it, and where a run of the
    collection has the name of another one.
    """
    names, left_out, found = names_of(folders), 0, False
    if shared := [str(folder) for folder, name in names.items() if "/" in name]:
        raise UserError(f"{', '.join(shared)}: two of them have the same name; give the folder above them")
    known = {record.name: record for record in collected_records(collection)}
    for folder, name in names.items():
        for record in read_run_folders(folder, name):
            if record.name in known:
                refuse_difference(known[record.name], record, record.options.keys() - OF_THE_MACHINE)
            files = RunFolder(record.place)
            with removed_meanwhile(files.result):
                epochs = [line for _, line in read_json_lines(files.metrics, "metrics of an epoch")]
                collection.add(record.name, record.options, record.result, record.baseline, epochs)
                for dev_set in record.result["dev"]:
                    file = record.predictions_file(dev_set)
                    if file.exists() and file.stat().st_size <= LARGEST_PREDICTIONS:
                        collection.add_predictions(dev_set, record.name, record.predictions(dev_set))
                    elif not collection.has_predictions(dev_set, record.name):
                        left_out += 1
            found = True
    if not found:
        raise UserError(f"{', '.join(map(str, names))}: no finished run (result.json), expected folders of runs")
    for name, place, why in read_failures(names, collected=False):
        if "result" in collection.runs.get(name, {}):
            print(f"{place}: failed, but the collection has its result from before, which is kept")
        else:
            collection.runs[name] = {"run": name, "failed": why}
    for name, (_, content) in read_importance_files(names, collected=False).items():
        collection.importance_files[name] = {"file": name, **content}
    return left_out
