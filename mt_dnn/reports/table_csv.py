"""The report's table for programs: a line for every point and metric, with scores from -1 to 1."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mt_dnn.reports.comparison import Comparison, SeedScores, mean, spread
from mt_dnn.reports.page import Columns
from mt_dnn.reports.points import Point, Transition


@dataclass(frozen=True)
class CsvRow:
    """One metric of a Point: its `values`; `to_dense`: the comparison with the dense model, if it stands here."""

    transition: Transition
    point: Point
    dev_set: str
    metric: str
    values: SeedScores
    to_dense: Comparison | None


def _digits(value: float | None, scale: int = 100) -> float | str:
    return "" if value is None else float(f"{value / scale:.6g}")


def _compared(name: str, scale: int = 100) -> Callable[[CsvRow], float | str]:
    return lambda line: _digits(getattr(line.to_dense, name), scale) if line.to_dense else ""


COLUMNS: Columns = {
    "task": lambda line: line.point.task,
    "train_fraction": lambda line: line.transition.train_fraction,
    "ticket": lambda line: line.point.kind,
    "criterion": lambda line: line.point.criterion or "",
    "tickets_of": lambda line: line.point.owner,
    "heads_closed": lambda line: line.point.heads,
    "ffns_closed": lambda line: line.point.ffns,
    "remaining_weights": lambda line: round(line.point.remaining, 6),
    "dataset": lambda line: line.dev_set,
    "metric": lambda line: line.metric,
    "mean": lambda line: _digits(mean(line.values)),
    "std": lambda line: _digits(spread(line.values)),
    "seeds": lambda line: len(line.values),
    "to_dense": _compared("difference"),
    "low": _compared("low"),
    "high": _compared("high"),
    "p": _compared("p", 1),
    "p_holm": _compared("p_holm", 1),
    "paired_seeds": lambda line: line.to_dense.seeds if line.to_dense else "",
    "seconds_per_epoch": lambda line: round(line.point.seconds, 2),
    "folders": lambda line: " ".join(run.name for run in line.point.runs.values()),
}


def to_csv(transitions: Iterable[Transition]) -> str:
    """Return the text of the file."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for transition in transitions:
        writer.writerows([cell(line) for cell in COLUMNS.values()] for line in _rows(transition))
    return file.getvalue()


def _rows(transition: Transition) -> Iterator[CsvRow]:
    """A CsvRow per point and metric, and for the score where that is not the only metric.

    The comparison with the dense model stands beside the score.
    """
    for point in transition.points:
        values = {metric: point.values(*metric) for metric in transition.metrics.values()}
        if len(values) > 1:
            values["", "score"] = point.scores
        *_, score = values  # the last one: the only metric, or their mean
        if point.held_out:
            values["held-out rows", transition.score_name] = point.held_out
        for (dev_set, metric), of_seeds in values.items():
            compared = transition.to_dense.get(point) if (dev_set, metric) == score else None
            yield CsvRow(transition, point, dev_set, metric, of_seeds, compared)
