"""The baseline without a model, which is always the most frequent label, or the mean; and what is better than it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from data_utils.metrics import average_score
from mt_dnn.records.record import Record


def _of_accuracy(value: float, rows: int) -> float:
    """Standard error of a binomial proportion."""
    return math.sqrt(value * (1 - value) / rows)


def _of_f1(value: float, rows: int) -> float:
    """F1 = 2 q / (1 + q), where q is the fraction of true positives among the rows that are not true negatives.

    The error of F1 follows from that of q by the delta method. q is a proportion of at most `rows` rows; of exactly as
    many for a baseline of F1 above 0, which calls no row negative.
    """
    q = value / (2 - value)
    return 2 / (1 + q) ** 2 * _of_accuracy(q, rows)


def _of_correlation(value: float, rows: int) -> float:
    """Standard error of a correlation of independent columns: Pearson's, Spearman's, Matthews's."""
    return 1 / math.sqrt(rows)


ERRORS: dict[str, Callable[[float, int], float]] = {"accuracy": _of_accuracy, "f1": _of_f1}


def sampling_error(metric: str, value: float, rows: int) -> float:
    """Return the standard deviation of a metric of this value over samples of this many rows, about."""
    return ERRORS.get(metric, _of_correlation)(value, rows)


@dataclass(frozen=True)
class Baseline:
    """`values`, `errors`: {(dev set, metric): its value, or its sampling error}; `score`: the average of the values.

    All in points, 100 times the metric.
    """

    values: dict[tuple[str, str], float]
    errors: dict[tuple[str, str], float]
    score: float

    def is_beaten_by(self, values: dict[tuple[str, str], float]) -> bool:
        """Whether a model with these values is better than the baseline.

        It is if at least one metric is above by more than the sampling error, and none is that much below. A metric
        whose baseline has no sampling error counts only where it is alone: F1 is 0 if the most frequent label is the
        negative one, and most guesses are above 0.
        """
        gains = [(values[key] - self.values[key], self.errors[key]) for key in self.values]
        counting = [(gain, error) for gain, error in gains if error] or gains
        return any(gain > error for gain, error in counting) and not any(gain < -error for gain, error in gains)


def baseline_of(records: list[Record], task: str) -> Baseline | None:
    """Return the Baseline of a task from the first of its runs that has it; None if all their predictions are gone."""
    for record in records:
        rows = record.result["tasks"][task]["dev_sets"]
        found = {name: record.baseline[name] for name in rows if name in record.baseline}
        if len(found) == len(rows):
            values = {(name, metric): value for name, metrics in found.items() for metric, value in metrics.items()}
            errors = {key: 100 * sampling_error(key[1], value, rows[key[0]]) for key, value in values.items()}
            in_points = {key: 100 * value for key, value in values.items()}
            return Baseline(in_points, errors, 100 * average_score({task: found}))
    return None
