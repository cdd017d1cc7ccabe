"""The records of many runs in one folder: small, for people and for reports. collect.py makes them.

    runs.jsonl            a line per run: its result.json, baseline, and the options that differ from run to run, such
                          as the tickets; or why it failed
    options.json          the other options of the runs, without paths: each set of options once, by fingerprint
    importance.jsonl      a line per file of importance scores
    metrics.jsonl.gz      a line per run: the lines of its metrics.jsonl, one for each epoch
    predictions/*.tsv.gz  a file per dev set: names of the labels, the labels of the rows, the predictions of every run

Lines are sorted by the names of the runs. The last two take most of the room and no report reads them: they are
packed.
"""

import gzip
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from data_utils.check import ANYTHING, TEXT, Expectation, check, either, fields, mapping_of, number
from data_utils.errors import NoSuchFile, UserError
from data_utils.files import write_whole
from data_utils.json_file import fingerprint_of, parse_json_lines, read_json, read_json_lines, to_json_lines, write_json
from data_utils.task_kinds import BadLabel
from mt_dnn.records.predictions import Predictions
from mt_dnn.run_config import MAY_BE_UNKNOWN, OF_A_RUN

RUNS, OPTIONS, IMPORTANCE = "runs.jsonl", "options.json", "importance.jsonl"
METRICS, PREDICTIONS = "metrics.jsonl.gz", "predictions"
DIGITS = 8  # of the fingerprints in OPTIONS

FINISHED = fields(
    {
        "run": TEXT,
        "options": TEXT,
        "config": mapping_of(ANYTHING),
        "result": mapping_of(ANYTHING),
        "baseline": mapping_of(mapping_of(number(-1, 1))),
    }
)
LINE = either(FINISHED, fields({"run": TEXT, "failed": TEXT}), expected=f"{FINISHED.expected}, or run and failed")

RecordLine = dict[str, Any]


@dataclass(frozen=True)
class DevSet:
    """`labels`, `gold`: as in Predictions; `predicted`: {name of the run: the prediction of every row}."""

    labels: tuple[str, ...]
    gold: list[str]
    predicted: dict[str, list[str]]


@dataclass
class Collection:
    """The records in `folder`.

    `runs`: {name of the run: its line}; `options`: {fingerprint: options}; `importance_files`: {name of the file: its
    line}; `metrics`: {name of the run: its line}; `dev_sets`: {name: DevSet}. The last two are read with `whole` only.
    """

    folder: Path
    runs: dict[str, RecordLine] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    importance_files: dict[str, RecordLine] = field(default_factory=dict)
    metrics: dict[str, RecordLine] = field(default_factory=dict)
    dev_sets: dict[str, DevSet] = field(default_factory=dict)

    def options_of(self, name: str) -> dict[str, Any]:
        """The options of a finished run, as its config.json has them, but for paths."""
        line = self.runs[name]
        return {**self.options[line["options"]], **line["config"]}

    def add(
        self,
        name: str,
        options: Mapping[str, Any],
        result: RecordLine,
        baseline: dict[str, dict[str, float]],
        metrics: list[RecordLine],
    ) -> None:
        """Add a finished run, or replace it: its config.json without paths, result.json, and lines of metrics.jsonl.

        Options that are not known of the run are left out. So a run keeps its line if a later version reads it again
        and knows more options.
        """
        known = {key: value for key, value in options.items() if value is not None or key not in MAY_BE_UNKNOWN}
        shared = {key: value for key, value in known.items() if key not in OF_A_RUN}
        fingerprint = fingerprint_of(shared, DIGITS)
        self.options[fingerprint] = shared
        before = self.runs.get(name, {})
        if before.get("result") == result:
            baseline = {**before["baseline"], **baseline}  # predictions that it came from may be gone by now
        else:  # it was run anew
            for dev_set in self.dev_sets.values():
                dev_set.predicted.pop(name, None)
        self.runs[name] = {
            "run": name,
            "options": fingerprint,
            "config": {key: value for key, value in options.items() if key in OF_A_RUN},
            "result": result,
            "baseline": baseline,
        }
        self.metrics[name] = {"run": name, "metrics": metrics}

    def add_predictions(self, dev_set: str, name: str, predictions: Predictions) -> None:
        """Add the predictions of a run; raise UserError if the runs before have other labels."""
        known = self.dev_sets.setdefault(dev_set, DevSet(predictions.labels, predictions.gold, {}))
        if not _same_labels(known, predictions):
            raise UserError(f"{name}: other labels of {dev_set} than in {self.folder}, expected the same dev set")
        known.predicted[name] = predictions.predicted

    def has_predictions(self, dev_set: str, name: str) -> bool:
        """Whether it has the predictions of a run."""
        return dev_set in self.dev_sets and name in self.dev_sets[dev_set].predicted

    def write(self) -> None:
        """Write each file whole or not at all. The others always have what runs.jsonl refers to."""
        used = {line["options"] for line in self.runs.values() if "options" in line}
        for name, dev_set in self.dev_sets.items():
            _write(self.folder / PREDICTIONS / f"{name}.tsv.gz", _table(dev_set))
        _write(self.folder / METRICS, _lines(self.metrics))
        _write(self.folder / IMPORTANCE, _lines(self.importance_files))
        write_json(self.folder / OPTIONS, {key: self.options[key] for key in sorted(self.options)})
        _write(self.folder / RUNS, _lines(self.runs))
        write_json(self.folder / OPTIONS, {key: self.options[key] for key in sorted(used)})


def read_collection(folder: Path, whole: bool = False) -> Collection:
    """Return the Collection in `folder`, an empty one where there is none yet.

    Raises UserError, naming file and line, if it is not as written here.
    """
    collection = Collection(folder)
    if (folder / RUNS).exists():
        collection.options = read_json(folder / OPTIONS, "the options of collected runs")
        for key, options in collection.options.items():
            if not isinstance(options, dict) or fingerprint_of(options, DIGITS) != key:
                raise UserError(f"{folder / OPTIONS}: {key}: not the options with this fingerprint; collect them again")
        collection.runs = _by_name(read_json_lines(folder / RUNS, "a collected run"), "run", LINE)
        for at, line in enumerate(collection.runs.values(), 1):
            if "options" in line and line["options"] not in collection.options:
                raise UserError(
                    f"{folder / RUNS}:{at}: options: {line['options']!r}, expected one that {folder / OPTIONS} has"
                )
    if (folder / IMPORTANCE).exists():
        lines = read_json_lines(folder / IMPORTANCE, "importance scores")
        collection.importance_files = _by_name(lines, "file", fields({"file": TEXT}, others=True))
    if whole and collection.runs:
        lines = parse_json_lines(_unpack(folder / METRICS), folder / METRICS, "metrics of a collected run")
        collection.metrics = _by_name(lines, "run", fields({"run": TEXT, "metrics": ANYTHING}))
        for name, line in collection.runs.items():
            if name not in collection.metrics and "failed" not in line:
                raise UserError(f"{folder / METRICS}: no line of run {name!r}, expected one of every run in {RUNS}")
    if whole:
        for path in sorted(folder.glob(f"{PREDICTIONS}/*.tsv.gz")):
            collection.dev_sets[path.name.removesuffix(".tsv.gz")] = _dev_set(path)
    return collection


def _by_name(lines: Iterable[tuple[str, RecordLine]], key: str, expected: Expectation) -> dict[str, RecordLine]:
    """Return {the name under `key`: line} for [(place, line)].

    Raises UserError for a line that is not as `expected`, and for a second one of the same name.
    """
    found: dict[str, RecordLine] = {}
    for place, line in lines:
        check(expected, line, place)
        if line[key] in found:
            raise UserError(f"{place}: {key}: a second line of {line[key]!r}, expected one; remove the wrong one")
        found[line[key]] = line
    return found


def in_order(names: Iterable[str]) -> list[str]:
    """Sort names of runs part by part, as find() sorts folders."""
    return sorted(names, key=lambda name: PurePosixPath(name).parts)


def _lines(lines: Mapping[str, RecordLine]) -> str:
    return to_json_lines(lines[name] for name in in_order(lines))


def _table(dev_set: DevSet) -> str:
    rows = [("labels", *dev_set.labels), ("gold", *dev_set.gold)]
    rows += [(name, *dev_set.predicted[name]) for name in in_order(dev_set.predicted)]
    return "".join("\t".join(row) + "\n" for row in rows)


def _same_labels(known: DevSet, predictions: Predictions) -> bool:
    """Whether every row has the same label; earlier versions wrote numbers with six digits."""
    if known.labels != predictions.labels or len(known.gold) != len(predictions.gold):
        return False
    kind, names = predictions.kind, predictions.labels
    try:
        before, now = ([kind.parse(field, names) for field in gold] for gold in (known.gold, predictions.gold))
    except BadLabel:  # of another kind of task
        return False
    return np.allclose(before, now, rtol=1e-5, atol=0)


def _dev_set(path: Path) -> DevSet:
    rows = [line.split("\t") for line in _unpack(path).removesuffix("\n").split("\n")]
    if [row[0] for row in rows[:2]] != ["labels", "gold"] or len({len(row) for row in rows[1:]}) != 1:
        raise UserError(f"{path}: expected lines of labels and gold, then predictions, one of each row")
    return DevSet(tuple(rows[0][1:]), rows[1][1:], {name: values for name, *values in rows[2:]})


def _write(path: Path, text: str) -> None:
    """Write a text; packed where the name ends with .gz, and then only if it is new: versions of zlib differ."""
    content = text.encode()
    if path.suffix == ".gz":
        if path.exists() and _unpack(path) == text:
            return
        content = gzip.compress(content, mtime=0)
    with write_whole(path, "wb") as file:
        file.write(content)


def _unpack(path: Path) -> str:
    if not path.is_file():
        raise NoSuchFile(path, "collected records")
    try:
        return gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(f"{path}: not readable ({error}), expected collected records") from None
