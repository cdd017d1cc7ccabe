"""Points, each one ticket of one task over its seeds; and phase transitions, the points of one task."""

import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from mt_dnn.records.record import Record
from mt_dnn.reports.baseline import Baseline, baseline_of
from mt_dnn.reports.comparison import Comparison, SeedScores, compare, corrected, mean
from mt_dnn.reports.wording import in_words
from mt_dnn.run_folder import DEFAULT_CRITERION, unless_default

Size = tuple[int, int]  # a ticket's size: (heads closed, FFNs closed)


@dataclass(eq=False)
class Point:
    """A ticket of one task.

    `owner`: the task that the ticket was found for, as a rule the same; `criterion`: of the scores that ranked it,
    None where none did; `kind`: dense, winning, random, losing; `heads`, `ffns`: how many it closes; `remaining`: the
    part of the weights that remains (0 to 1); `runs`: {seed: its Record}; `repeats`: runs that repeat a seed with other
    scores, which count nowhere. All scores are in points, 100 times the metric.
    """

    task: str
    owner: str
    criterion: str | None
    kind: str
    heads: int
    ffns: int
    remaining: float
    runs: dict[int, Record]
    repeats: list[Record] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What tables and figures call its kind: "winning", "winning by loss", "winning of sst"."""
        criterion = unless_default(self.criterion)
        by = f" by {criterion}" if criterion else ""
        return self.kind + by + (f" of {self.owner}" if self.owner != self.task else "")

    @property
    def size(self) -> Size:
        """(heads closed, FFNs closed)."""
        return self.heads, self.ffns

    @property
    def any_run(self) -> Record:
        """Any of its runs: for what is the same in all."""
        return next(iter(self.runs.values()))

    @property
    def closed_in_words(self) -> str:
        """How many heads and FFNs it closes, as "28 heads, 2 FFNs closed"."""
        return f"{self.heads} head{'s' * (self.heads != 1)}, {self.ffns} FFN{'s' * (self.ffns != 1)} closed"

    @property
    def percent(self) -> str:
        """The part of the weights that remains, as "83.6 %"."""
        return f"{100 * self.remaining:.1f} %"

    @property
    def weights_in_words(self) -> str:
        """The part of the weights that remains, as "83.6 % of the weights"."""
        return f"{self.percent} of the weights"

    @property
    def scores(self) -> SeedScores:
        """{seed: average score on dev}."""
        return {seed: run.score for seed, run in self.runs.items()}

    @property
    def held_out(self) -> SeedScores:
        """{seed: mean of the metrics on the held-out training rows}; {} where none are held out."""
        return {seed: score for seed, run in self.runs.items() if (score := run.held_out(self.task)) is not None}

    def values(self, dev_set: str, metric: str) -> SeedScores:
        """{seed: one metric on one dev set}."""
        return {seed: 100 * run.result["dev"][dev_set][metric] for seed, run in self.runs.items()}

    @property
    def seconds(self) -> float:
        """Seconds per epoch, the median over seeds."""
        return statistics.median(run.result["seconds_per_epoch"] for run in self.runs.values())

    @property
    def folder(self) -> str:
        """Where its runs are: the folder that holds them all, or the first and how many more."""
        names = [run.name for run in self.runs.values()]
        if len(names) > 1 and len({os.path.dirname(name) for name in names}) == 1:
            return os.path.dirname(names[0])
        return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


@dataclass(eq=False)
class HeldOutPoint(Point):
    """A Point whose scores are those on the held-out training rows."""

    @property
    def scores(self) -> SeedScores:
        return self.held_out


@dataclass(eq=False)
class Transition:
    """The phase transition of one task, trained on one part of its rows.

    `title`: the task, and the part where there are several; `train_fraction`: the part; `points`: the dense model
    first, then the points of each line, from most weights to fewest; other criteria and other tasks' tickets come last.
    """

    task: str
    title: str
    train_fraction: float
    points: list[Point]

    @property
    def own(self) -> list[Point]:
        """The points whose tickets were found for this task."""
        return [point for point in self.points if point.owner == self.task]

    @property
    def foreign(self) -> list[Point]:
        """The points whose tickets were found for another task."""
        return [point for point in self.points if point.owner != self.task]

    @property
    def criteria(self) -> list[str]:
        """The criteria that ranked its own tickets, the main one first: the default, or the first by name."""
        found = {point.criterion for point in self.own if point.criterion}
        return sorted(found, key=lambda criterion: (criterion != DEFAULT_CRITERION, criterion))

    def on_held_out_rows(self) -> "Transition":
        """The points that have held-out training rows, with their scores there."""
        return replace(self, points=[HeldOutPoint(**vars(point)) for point in self.points if point.held_out])

    def of_kind(self, kind: str, criterion: str | None = None) -> list[Point]:
        """Its own tickets of `kind`; of kinds that scores rank, those by `criterion` (by the main one if left out)."""
        wanted = (None, criterion or next(iter(self.criteria), None))
        return [point for point in self.own if point.kind == kind and point.criterion in wanted]

    @property
    def dense(self) -> Point | None:
        """The dense model's Point, or None."""
        return next(iter(self.of_kind("dense")), None)

    @property
    def lines(self) -> dict[str, list[Point]]:
        """{name: [Point]}: the points of one line in the figure, the dense model first."""
        lines: dict[str, list[Point]] = {}
        for point in self.points:
            lines.setdefault(point.name, []).append(point)
        return lines

    @cached_property
    def to_dense(self) -> dict[Point, Comparison]:
        """{Point: its scores compared with the dense model's}, corrected for all Points of its family.

        A family is a kind of its own tickets; all its tickets by other criteria; all tickets of other tasks. {} without
        a dense model.
        """
        dense, compared = self.dense, {}
        families: dict[str, list[Point]] = {}
        for point in self.points:
            main = point.criterion in (None, *self.criteria[:1])
            family = "of other tasks" if point.owner != self.task else point.kind if main else "by other criteria"
            families.setdefault(family, []).append(point)
        for family in families.values():
            if dense and dense not in family:
                compared |= corrected({point: compare(point.scores, dense.scores) for point in family})
        return compared

    @cached_property
    def baseline(self) -> Baseline | None:
        """What always the most frequent label, or the mean, gives; None if no run has its dev predictions any more."""
        return baseline_of([run for point in self.points for run in point.runs.values()], self.task)

    @property
    def has_learnt(self) -> bool:
        """Whether the dense model is better than the baseline, as far as is known: see Baseline.is_beaten_by."""
        if not (self.dense and self.baseline):
            return True
        return self.baseline.is_beaten_by({key: mean(self.dense.values(*key)) for key in self.baseline.values})

    def not_learnt(self, point: Point) -> list[int]:
        """Return the seeds with which a point's run is not better than the baseline; [] where there is no baseline."""
        if not self.baseline:
            return []
        values = {key: point.values(*key) for key in self.baseline.values}
        of_seeds = {seed: {key: scores[seed] for key, scores in values.items()} for seed in point.runs}
        return [seed for seed, of_seed in of_seeds.items() if not self.baseline.is_beaten_by(of_seed)]

    @property
    def base(self) -> str:
        """The folder that holds all its runs; "" where there is none."""
        return os.path.commonpath([run.name for point in self.points for run in point.runs.values()])

    @property
    def dev_rows(self) -> dict[str, int]:
        """{dev set: rows}."""
        return self.points[0].any_run.result["tasks"][self.task]["dev_sets"]

    @property
    def metrics(self) -> dict[str, tuple[str, str]]:
        """{how it is called: (dev set, metric)}; the dev set is named where there are several."""
        return {
            metric if len(self.dev_rows) == 1 else f"{dev_set} {metric}": (dev_set, metric)
            for dev_set, values in self.points[0].any_run.result["dev"].items()
            for metric in values
        }

    @property
    def score_name(self) -> str:
        """What the score of a run is called: the metric where there is just one, else "score"."""
        return next(iter(self.metrics)) if len(self.metrics) == 1 else "score"

    @property
    def score_in_words(self) -> str:
        """What the score of a run is made of."""
        return f"score: mean of {in_words(self.metrics)}" if len(self.metrics) > 1 else self.score_name


def criteria_of(transitions: Iterable[Transition]) -> list[str]:
    """The criteria that ranked the tasks' own tickets, each once."""
    return list(dict.fromkeys(criterion for transition in transitions for criterion in transition.criteria))


def section_title(task: str, train_fraction: float, several: bool) -> str:
    """What a section is called: the task, and the part of its training rows where there are `several`."""
    return f"{task}, {100 * train_fraction:g} % of the training rows" if several else task
