"""What runs left, read back for reports: from their folders, or from the records that collect.py made of them.

Reports name a run by its path from the given folder on, with the name of that folder first. So a page does not depend
on where the folders lie, and the same runs give the same page from their folders and from their records.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from data_utils.errors import NoSuchFile, UserError
from data_utils.files import find
from data_utils.json_file import is_utf8, read_json
from data_utils.task_kinds import TASK_KINDS
from mt_dnn.records.checks import check_baseline, check_run
from mt_dnn.records.collection import IMPORTANCE, RUNS, Collection, in_order, read_collection
from mt_dnn.records.predictions import Predictions, kind_with, read_predictions
from mt_dnn.run_config import MAY_BE_UNKNOWN, OF_A_RUN, OF_THE_MACHINE, PATHS, differs, read_run_config
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.masks import ticket_from
from mt_dnn.tickets.ticket import Ticket

MAY_DIFFER = OF_A_RUN | OF_THE_MACHINE | {"keep_gates"}  # between runs of one table


@dataclass(frozen=True)
class Record:
    """A finished run.

    `name`: what reports call it; `place`: where it was read; `options`: its config.json without paths; `result`: its
    result.json; `collected_baseline`: the baseline of a collected run, None for a run folder.
    """

    name: str
    place: str
    options: dict[str, Any]
    result: dict[str, Any]
    collected_baseline: dict[str, dict[str, float]] | None = None

    @property
    def tasks(self) -> list[str]:
        return list(self.result["tasks"])

    @property
    def seed(self) -> int:
        return self.result["seed"]

    @property
    def kind(self) -> str:
        return self.result["kind"]

    def fraction_of(self, task: str) -> float:
        """The part of the training rows of one of its tasks that it trained on."""
        fraction = self.options.get("train_fraction", 1.0)
        return fraction[self.tasks.index(task)] if isinstance(fraction, list) else fraction

    @property
    def score(self) -> float:
        """Its average score on dev, in points."""
        return 100 * self.result["average_score"]

    @property
    def metrics(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """{dev set: {metric: value}}, and {task: {metric: value}} on held-out training rows."""
        return self.result["dev"], self.result.get("held_out", {})

    def held_out(self, task: str) -> float | None:
        """The mean of a task's metrics on its held-out training rows, in points; None where none are held out."""
        metrics = self.result.get("held_out", {}).get(task)
        return 100 * statistics.fmean(metrics.values()) if metrics else None

    def criterion(self, task: str) -> str | None:
        """The criterion that ranked the ticket of one of its tasks; None for tickets that no scores rank."""
        return self.options["criteria"].get(task)

    def owner(self, task: str) -> str:
        """The task for which the ticket of one of its tasks was found."""
        return self.options["tickets_of"].get(task, task)

    def ticket(self, task: str) -> Ticket:
        """The ticket that it trained on one of its tasks."""
        return ticket_from(self.options["tickets"][task])

    @cached_property
    def baseline(self) -> dict[str, dict[str, float]]:
        """{dev set: {metric: value of Predictions.baseline}}; a dev set whose predictions are gone is left out."""
        if self.collected_baseline is not None:
            return self.collected_baseline
        found = {}
        for dev_set, metrics in self.result["dev"].items():
            with contextlib.suppress(FileNotFoundError):
                found[dev_set] = self.predictions(dev_set).baseline(metrics)
        return found

    def predictions(self, dev_set: str) -> Predictions:
        """Read the predictions of a dev set from the folder of the run; see read_predictions()."""
        (entry,) = (entry for entry in self.result["tasks"].values() if dev_set in entry["dev_sets"])
        named = TASK_KINDS.get(entry.get("task_kind"))
        return read_predictions(self.predictions_file(dev_set), named or kind_with(self.result["dev"][dev_set]))

    def predictions_file(self, dev_set: str) -> Path:
        """Where the folder of the run has its predictions of a dev set."""
        return RunFolder(self.place).predictions(dev_set if len(self.result["dev"]) > 1 else None)


class Failure(NamedTuple):
    """A run that ended with failed.txt: its name, where it was read, and the line that says why."""

    name: str
    place: str
    why: str


def read_records(folders: Iterable[str | Path]) -> list[Record]:
    """Return a Record of every finished run below `folders`, in the order of their names.

    A run found twice, in its folder and in a collection, counts once.

    Raises UserError for a folder without any, for two different runs of one name, and for a file that is not as
    Session.do or collect.py writes it.
    """
    found: dict[str, Record] = {}
    for folder, name in names_of(folders).items():
        below = [*read_run_folders(folder, name)]
        for path in find(folder, RUNS):
            below += collected_records(read_collection(path.parent))
        if not below:
            raise UserError(f"{folder}: no finished run (result.json), expected a folder of train.py or rewind.py")
        for record in below:
            other = found.setdefault(record.name, record)
            _refuse_another(record.name, other.place, other.result, record.place, record.result)
    return [found[name] for name in in_order(found)]


def names_of(folders: Iterable[str | Path]) -> dict[Path, str]:
    """Return {folder: its name}: as many last parts of its path as tell all `folders` apart; each folder once."""
    unique: dict[tuple[str, ...], Path] = {}
    for folder in folders:
        unique.setdefault(Path(os.path.abspath(folder)).parts, Path(folder))
    depth = 1
    while len({parts[-depth:] for parts in unique}) < len(unique):
        depth += 1
    return {folder: "/".join(parts[-depth:]).lstrip("/") for parts, folder in unique.items()}


def read_run_folders(folder: Path, name: str) -> Iterator[Record]:
    """Yield a Record of every run folder below `folder`, which is called `name`; pass over one removed meanwhile."""
    for path in find(folder, "result.json"):
        with removed_meanwhile(path):
            result = read_json(path, "the result of a run")
            options = read_run_config(path.with_name("config.json"))
            check_run(result, str(path), options, str(path.with_name("config.json")))
            run_name = _name_below(name, folder, path.parent)
            yield Record(run_name, str(path.parent), without_paths(options), result)


def collected_records(collection: Collection) -> Iterator[Record]:
    """Yield a Record of every finished run in a Collection."""
    for at, (name, line) in enumerate(collection.runs.items(), 1):
        if "failed" not in line:
            place, options = f"{collection.folder / RUNS}:{at}", collection.options_of(name)
            check_run(line["result"], place, options, place)
            check_baseline(line["baseline"], line["result"], place)
            yield Record(name, place, options, line["result"], line["baseline"])


def read_failures(folders: Iterable[str | Path], collected: bool = True) -> list[Failure]:
    """Return the runs below `folders` that ended with failed.txt and without a result.

    `collected`: also those of collections below `folders`.
    """
    found: dict[str, tuple[str, str]] = {}
    for folder, name in names_of(folders).items():
        for path in find(folder, "failed.txt"):
            files = RunFolder(path.parent)
            if (line := files.why_failed()) and not files.result.exists():
                found.setdefault(_name_below(name, folder, path.parent), (str(path.parent), line))
        for path in find(folder, RUNS) if collected else ():
            for run_name, line in read_collection(path.parent).runs.items():
                if "failed" in line:
                    found.setdefault(run_name, (str(path), line["failed"]))
    return [Failure(name, *found[name]) for name in in_order(found)]


def read_importance_files(
    folders: Iterable[str | Path], collected: bool = True
) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return {name of the file: (its place, its content)} of all importance scores below `folders`.

    The content is without `checkpoint`, which is a path. `collected`: also those of collections below `folders`.

    Raises UserError for two different files of one name.
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}

    def add(name: str, place: Path, content: dict[str, Any]) -> None:
        other_place, other = found.setdefault(name, (str(place), content))
        _refuse_another(name, other_place, other, str(place), content)

    for folder, name in names_of(folders).items():
        for path in find(folder, "importance*.json"):
            with removed_meanwhile(path):
                content = read_json(path, "importance scores")
                content.pop("checkpoint", None)
                add(_name_below(name, folder, path), path, content)
        for path in find(folder, IMPORTANCE) if collected else ():
            for file_name, line in read_collection(path.parent).importance_files.items():
                add(file_name, path, {key: value for key, value in line.items() if key != "file"})
    return {name: found[name] for name in in_order(found)}


def _refuse_another(name: str, place: str, content: dict[str, Any], other_place: str, other: dict[str, Any]) -> None:
    """Raise UserError if the runs, or the importance scores, of one name differ: they belong to two experiments."""
    if content != other:
        raise UserError(
            f"{place} and {other_place}: both have a {name}, and not the same, expected one; report them separately"
        )


def _name_below(name: str, folder: Path, path: Path) -> str:
    """What reports call the file or folder `path` below `folder`, which is called `name`.

    Raises UserError for a name that a line of a table can't hold.
    """
    found = str(PurePosixPath(name, path.relative_to(folder).as_posix()))
    if "\t" in found or found.splitlines() != [found] or not is_utf8(found):
        raise UserError(f"{found!a}: expected a name in UTF-8 without tabs and line breaks; rename it")
    return found


@contextlib.contextmanager
def removed_meanwhile(path: Path) -> Iterator[None]:
    """Ignore a file that is missing in the block if `path` goes too: its folder is being removed, file by file."""
    try:
        yield
    except (NoSuchFile, FileNotFoundError) as error:
        missing = error.path if isinstance(error, NoSuchFile) else Path(error.filename)
        time.sleep(0.2)
        if path.exists() and not missing.exists():
            raise


def without_paths(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a run without paths; what these lead to is among them by name and fingerprint."""
    return {key: value for key, value in options.items() if key not in PATHS}


def refuse_unlike(records: Sequence[Record], keys: set[str] | None = None) -> None:
    """Raise UserError unless all runs, which a table shows as alike, were made with the same options.

    `keys`: only these. An option that is not known of some runs is compared between the others.
    """
    for record in records[1:]:
        refuse_difference(records[0], record, keys)
    for key in MAY_BE_UNKNOWN if keys is None else set(MAY_BE_UNKNOWN).intersection(keys):
        known = [record for record in records if record.options.get(key) is not None]
        for record in known[1:]:
            refuse_difference(known[0], record, [key])


def refuse_difference(record: Record, other: Record, keys: Iterable[str] | None = None) -> None:
    """Raise UserError if two runs that a table shows as alike were made with other options (`keys`: only these)."""
    one, two = comparable(record), comparable(other)
    keys = compared([record, other]) if keys is None else keys
    pairs = {key: (one.get(key), two.get(key)) for key in sorted(keys)}
    differing = [f"{key} {values[0]!r} and {values[1]!r}" for key, values in pairs.items() if differs(key, *values)]
    if differing:
        raise UserError(
            f"{record.place} and {other.place}: {'; '.join(differing)}; expected the same; report them separately"
        )


def add_run(runs: dict[int, Record], repeats: list[Record], record: Record) -> None:
    """Put a run into the `runs` of a ticket, {seed: Record}, or into `repeats` if its seed is there with other scores.

    Raises UserError if its seed is there with another ticket.
    """
    counted = runs.setdefault(record.seed, record)
    refuse_difference(counted, record, ["tickets"])
    if record.metrics != counted.metrics:
        repeats.append(record)


def compared(records: Iterable[Record]) -> set[str]:
    """Return the names of what must be the same in all runs of a table, unless the table shows it."""
    return {key for record in records for key in comparable(record)} - MAY_DIFFER


def comparable(record: Record) -> dict[str, Any]:
    """What decides whether two runs can stand in one table: their options, the encoder, and what was measured."""
    measured = {dev_set: list(values) for dev_set, values in record.result["dev"].items()}
    return {**record.options, "model": record.result["model"], "measured": measured}
