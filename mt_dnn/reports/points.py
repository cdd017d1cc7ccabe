"""The finished runs below some folders, gathered into points: one ticket of one task, over its seeds."""

import os
import statistics
from dataclasses import dataclass
from functools import cached_property

from data_utils.errors import UserError
from data_utils.files import find
from data_utils.run_folder import RunFolder
from mt_dnn.reports.comparison import compare_family
from mt_dnn.reports.results import read_results, refuse_difference
from mt_dnn.tickets.masks import KINDS


@dataclass(eq=False)
class Point:
    """A ticket of one task: its `kind`, how many `heads` and `ffns` it closes, the part of the weights that is `remaining`
    (0 to 1), and `runs`, {seed: (folder, result.json)}. All scores are in points, 100 times the metric."""

    task: str
    kind: str
    heads: int
    ffns: int
    remaining: float
    runs: dict

    @property
    def closed(self):
        return f"{self.heads} head{'s' * (self.heads != 1)}, {self.ffns} FFN{'s' * (self.ffns != 1)} closed"

    @property
    def weights(self):
        return f"{100 * self.remaining:.1f} % of the weights"

    @property
    def scores(self):
        """{seed: average score on dev}."""
        return {seed: 100 * result["average_score"] for seed, (_, result) in self.runs.items()}

    @property
    def held_out(self):
        """{seed: mean of the metrics on the held-out training rows}; {} where none are held out."""
        return {
            seed: 100 * statistics.mean(result["held_out"][self.task].values())
            for seed, (_, result) in self.runs.items()
            if result.get("held_out")
        }

    def values(self, dev_set, metric):
        """{seed: one metric on one dev set}."""
        return {seed: 100 * result["dev"][dev_set][metric] for seed, (_, result) in self.runs.items()}

    @property
    def seconds(self):
        """Seconds per epoch, the median over seeds."""
        return statistics.median(result["seconds_per_epoch"] for _, result in self.runs.values())

    @property
    def folder(self):
        """Where its runs are: the folder that holds them all, or the first and how many more."""
        folders = [folder for folder, _ in self.runs.values()]
        if len(folders) > 1 and len({folder.parent for folder in folders}) == 1:
            return str(folders[0].parent)
        return str(folders[0]) + (f" and {len(folders) - 1} more" if len(folders) > 1 else "")


@dataclass(eq=False)
class Transition:
    """The phase transition of one task: its points, the dense model first, then kind by kind with ever fewer weights."""

    task: str
    points: list

    def of_kind(self, kind):
        return [point for point in self.points if point.kind == kind]

    @property
    def dense(self):
        """The dense model's Point, or None."""
        return next(iter(self.of_kind("dense")), None)

    @cached_property
    def to_dense(self):
        """{Point: Comparison of its scores with the dense model's}, corrected for the sparsities of its kind; {} without a dense model."""
        if not self.dense:
            return {}
        families = ({point: point.scores for point in self.of_kind(kind)} for kind in KINDS if kind != "dense")
        return {
            point: comparison
            for family in families
            for point, comparison in compare_family(family, self.dense.scores).items()
        }

    @property
    def base(self):
        """The folder that holds all its runs; "" where there is none."""
        try:
            return os.path.commonpath([folder for point in self.points for folder, _ in point.runs.values()])
        except ValueError:  # some paths are absolute and some are not
            return ""

    @property
    def dev_rows(self):
        """{dev set: rows}."""
        return self._first["tasks"][self.task]["dev_sets"]

    @property
    def metrics(self):
        """{how it is called: (dev set, metric)}; the dev set is named where there are several."""
        return {
            metric if len(self.dev_rows) == 1 else f"{dev_set} {metric}": (dev_set, metric)
            for dev_set, values in self._first["dev"].items()
            for metric in values
        }

    @property
    def score_name(self):
        """What the score of a run is called: the metric where there is just one, else "score"."""
        return next(iter(self.metrics)) if len(self.metrics) == 1 else "score"

    @property
    def score(self):
        """The score in words."""
        *names, last = self.metrics
        return f"score: mean of {', '.join(names)} and {last}" if names else last

    @property
    def _first(self):
        """Any of the results; dev sets and metrics are the same in all."""
        return next(iter(self.points[0].runs.values()))[1]


def mean(values):
    """Mean of {seed: value}."""
    return statistics.mean(values.values())


def spread(values):
    """Standard deviation of {seed: value}; None with one seed."""
    return statistics.stdev(values.values()) if len(values) > 1 else None


def show(values):
    """{seed: value} in words: mean ± standard deviation, with one decimal."""
    return f"{mean(values):.1f}" + (f" ± {spread(values):.1f}" if len(values) > 1 else "")


def gather(folders):
    """Read every result.json below `folders`; return [Transition], by task.

    The same ticket and seed found twice (the dense model, fine-tuned by train.py and rewound with an empty ticket)
    counts once. Tickets of different seeds may close different units, as each seed may have masks of its own.

    Raises UserError where there is nothing to report, where runs of one task were trained with different options, and
    where one seed has different tickets at one point: a table would show them as if they were alike.
    """
    found, first = {}, {}
    for folder, result, options in read_results(folders):
        if len(result["tasks"]) > 1:
            raise UserError(
                f"{folder}: a run of {len(result['tasks'])} tasks, expected runs of one; python -m mt_dnn.reports.multi_task shows this one"
            )
        ((task, entry),) = result["tasks"].items()
        options = {**options, "metrics": {dev_set: list(values) for dev_set, values in result["dev"].items()}}
        key = (
            task,
            KINDS.index(result["kind"]),
            -entry["remaining_weights"]["by_formula"],
            entry["heads_closed"],
            entry["ffns_closed"],
        )
        other, others, _ = found.setdefault(key, {}).setdefault(result["seed"], (folder, options, result))
        refuse_difference(other, others, folder, options, ["tickets"])
        other, others = first.setdefault(task, (folder, options))
        refuse_difference(other, others, folder, options)
    transitions = {}
    for (task, kind, remaining, heads, ffns), runs in sorted(found.items()):
        runs = {seed: (folder, result) for seed, (folder, _, result) in sorted(runs.items())}
        transitions.setdefault(task, Transition(task, [])).points.append(
            Point(task, KINDS[kind], heads, ffns, -remaining, runs)
        )
    return list(transitions.values())


def failed_runs(folders):
    """Return [(folder, its one line)] of the runs below `folders` that ended with failed.txt and without a result."""
    paths = dict.fromkeys(path.parent for folder in folders for path in find(folder, "failed.txt"))
    return [
        (path, line) for path in paths if (line := RunFolder(path).why_failed()) and not RunFolder(path).result.exists()
    ]
