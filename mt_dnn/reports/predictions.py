"""Dev predictions of a run, read back, and the baseline without a model: the most frequent label, or the mean."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_utils.errors import UserError
from data_utils.metrics import compute
from data_utils.task_kinds import TASK_KINDS


@dataclass(frozen=True)
class Predictions:
    """A file of dev predictions.

    `labels`: the names of the labels in the task's order, () for a regression; `gold` and `predicted`: the label and
    the prediction of every row, as the file writes them.
    """

    labels: tuple[str, ...]
    gold: list[str]
    predicted: list[str]

    def metrics(self, names: list[str], predicted: list[str] | None = None) -> dict[str, float]:
        """Return {metric: value} of the predictions (or of other `predicted` ones) against the labels.

        An undefined value counts as 0, as in data_utils.metrics.compute.
        """
        kind = TASK_KINDS["classification" if self.labels else "regression"]
        guesses = self._numbers(self.predicted if predicted is None else predicted)
        return compute({name: kind.metrics[name] for name in names}, self._numbers(self.gold), guesses)

    def baseline(self, names: list[str]) -> dict[str, float]:
        """Return {metric: value} of giving every row the most frequent label, or the mean of the labels."""
        if self.labels:
            answer = max(self.labels, key=self.gold.count)  # of equally frequent ones the first
        else:
            answer = repr(float(np.mean(self._numbers(self.gold))))
        return self.metrics(names, [answer] * len(self.gold))

    def _numbers(self, column: list[str]) -> np.ndarray:
        """Class ids, or values."""
        if self.labels:
            ids = {label: at for at, label in enumerate(self.labels)}
            return np.array([ids[label] for label in column])
        return np.array([float(value) for value in column])


def read_predictions(path: Path) -> Predictions:
    """Read what mt_dnn.training.evaluate.write_predictions wrote.

    Raises UserError with file and line if it is not as written there, and FileNotFoundError if there is no such file.
    """
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    header = lines[0].split("\t")
    labels = tuple(name[2:-1] for name in header[3:] if name.startswith("p(") and name.endswith(")"))
    if header[:3] != ["row", "label", "prediction"] or len(labels) != len(header) - 3 or len(lines) < 2:
        raise UserError(f"{path}:1: not the dev predictions of a run, expected row, label, prediction and more rows")
    gold, predicted = [], []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(header) or not all(_fits(cell, labels) for cell in cells[1:3]):
            expected = f"one of {', '.join(labels)}" if labels else "numbers"
            raise UserError(
                f"{path}:{number}: {line[:60]!r}, expected {len(header)} columns; label and prediction {expected}"
            )
        gold.append(cells[1])
        predicted.append(cells[2])
    return Predictions(labels, gold, predicted)


def _fits(cell: str, labels: tuple[str, ...]) -> bool:
    if labels:
        return cell in labels
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
