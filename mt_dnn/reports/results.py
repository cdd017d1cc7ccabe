"""Results of finished runs, read back for tables."""

from data_utils.errors import UserError
from data_utils.files import find
from data_utils.json_file import read_json
from mt_dnn.config import PATHS, read_run_config
from mt_dnn.tickets.masks import KINDS

# What may differ between runs of one table: what tables show, paths, and what changes no outcome beyond rounding.
MAY_DIFFER = {"kind", "seed", "tickets", "keep_gates", "device", "precision"} | PATHS


def read_results(folders):
    """Return [(run's folder, result.json, config.json)] of every finished run below `folders`.

    Raises UserError for a folder without any, and for a file that is not as Session.do writes it.
    """
    found = []
    for folder in folders:
        paths = find(folder, "result.json")
        if not paths:
            raise UserError(f"{folder}: no finished run (result.json), expected a folder of train.py or rewind.py")
        for path in paths:
            result = read_json(path, "the result of a run")
            options = read_run_config(path.with_name("config.json"))
            if not _is_whole(result, options):
                raise UserError(
                    f"{path}: keys are missing or not as expected in the result of a run; remove that folder and run it anew"
                )
            found.append((path.parent, result, {**options, "model": result["model"]}))
    return found


def _is_whole(result, options):
    try:
        int(result["seed"]), float(result["seconds_per_epoch"]), float(result["average_score"]), options["tickets"]
        for entry in result["tasks"].values():
            float(entry["remaining_weights"]["by_formula"]), int(entry["heads_closed"]), int(entry["ffns_closed"])
            if not all(
                int(rows) and all(float(value) <= 1 for value in result["dev"][name].values())
                for name, rows in entry["dev_sets"].items()
            ):
                return False
        if held_out := result.get("held_out"):
            if not all(
                held_out[task] and all(float(value) <= 1 for value in held_out[task].values())
                for task in result["tasks"]
            ):
                return False
        return result["kind"] in KINDS and bool(result["tasks"]) and isinstance(result["model"], dict)
    except (KeyError, ValueError, TypeError, AttributeError):
        return False


def refuse_difference(folder, options, other_folder, others, keys=None):
    """Raise UserError if two runs that a table would show as alike were made with other options (`keys`: only these)."""
    keys = options.keys() - MAY_DIFFER if keys is None else keys
    if differing := [
        f"{key} {options.get(key)!r} and {others.get(key)!r}"
        for key in sorted(keys)
        if options.get(key) != others.get(key)
    ]:
        raise UserError(f"{folder} and {other_folder}: {'; '.join(differing)}; expected the same, report them apart")
