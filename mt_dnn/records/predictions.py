"""Dev predictions of a run, read back, and the baseline without a model: the most frequent label, or the mean."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_utils.errors import UserError
from data_utils.task_kinds import TASK_KINDS, BadLabel, TaskKind


@dataclass(frozen=True)
class Predictions:
    """A file of dev predictions.

    `kind`: of the task; `labels`: the names of the classes in the task's order, () where it has none; `gold` and
    `predicted`: the label and the prediction of every row, as the file writes them.
    """

    kind: TaskKind
    labels: tuple[str, ...]
    gold: list[str]
    predicted: list[str]

    def baseline(self, names: Iterable[str]) -> dict[str, float]:
        """Return {metric: value} of giving every row the same answer, without a model; see TaskKind.constant."""
        gold = np.array([self.kind.parse(field, self.labels) for field in self.gold])
        return self.kind.measure(names, gold, np.full(len(gold), self.kind.constant(gold)))


def kind_with(metrics: Iterable[str]) -> TaskKind:
    """Return the first kind of task that has these metrics: results of earlier versions do not name the kind.

    Raises KeyError if none has.
    """
    for kind in TASK_KINDS.values():
        if set(metrics) <= kind.metrics.keys():
            return kind
    raise KeyError(f"no kind of task has the metrics {', '.join(metrics)}")


def read_predictions(path: Path, kind: TaskKind) -> Predictions:
    """Read what mt_dnn.training.evaluate.write_predictions wrote for a task of this kind.

    Raises UserError with file and line if it is not as written there, and FileNotFoundError if there is no such file.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    header = lines[0].split("\t")
    if header[:3] != ["row", "label", "prediction"] or len(lines) < 2:
        raise UserError(f"{path}:1: not the dev predictions of a run, expected row, label, prediction and more rows")
    labels = tuple(name[2:-1] for name in header[3:] if name.startswith("p(") and name.endswith(")"))
    read = Predictions(kind, labels, [], [])
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(f"{path}:{number}: {len(cells)} columns, expected {len(header)}")
        try:
            for field in cells[1:3]:
                kind.parse(field, labels)
        except BadLabel as error:
            raise UserError(f"{path}:{number}: {line[:60]!r}: {error.args[0]}, expected {error.args[1]}") from None
        read.gold.append(cells[1])
        read.predicted.append(cells[2])
    return read
