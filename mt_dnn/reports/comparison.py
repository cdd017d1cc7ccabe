"""Scores against scores: a paired t-test over seeds, and Holm's correction for several of them."""

import statistics
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from scipy import stats

SeedScores = Mapping[int, float]  # {seed: score in points}
Key = TypeVar("Key", bound=Hashable)

CONFIDENCE = 0.95
ALIKE = 1e-9  # points; differences this close differ by rounding alone


def mean(values: Mapping[Any, float]) -> float:
    """Mean of {seed: value}."""
    return statistics.mean(values.values())


def spread(values: Mapping[Any, float]) -> float | None:
    """Standard deviation of {seed: value}; None with one seed."""
    return statistics.stdev(values.values()) if len(values) > 1 else None


@dataclass(frozen=True)
class Comparison:
    """A score minus a reference, such as a ticket's minus the dense model's, over the seeds that both have.

    `seeds`: how many; `difference`: the mean, in points (None without a shared seed); `low`, `high`: its 95 % interval;
    `p`: that of the paired t-test; `p_holm`: p by Holm's method. The last four are None where there is no test; then
    `why` says why.
    """

    seeds: int
    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    why: str = ""

    @property
    def distinguishable(self) -> bool:
        """Whether the corrected test tells the difference from noise."""
        return self.p_holm is not None and self.p_holm < 1 - CONFIDENCE

    @property
    def verdict(self) -> str:
        """What it decides about the claim that the difference is above zero."""
        if self.p_holm is None:
            return "not tested"
        if not self.distinguishable:
            return "not distinguishable from noise"
        return "confirmed" if (self.difference or 0) > 0 else "refuted"


def compare(values: SeedScores, reference: SeedScores) -> Comparison:
    """Compare {seed: score} with the reference's {seed: score}, paired over the seeds that stand in both.

    With n differences of mean m and standard deviation s, t = m / (s / sqrt(n)) has n - 1 degrees of freedom
    (Student 1908).
    There is no test with fewer than two shared seeds, nor where all differences are equal.
    """
    shared = sorted(values.keys() & reference.keys())
    if not shared:
        return Comparison(0, None, why="no shared seed")
    scores, others = (np.array([of[seed] for seed in shared]) for of in (values, reference))
    difference = float(np.mean(scores - others))
    if len(shared) == 1:
        return Comparison(1, difference, why="1 shared seed")
    if np.ptp(scores - others) < ALIKE:
        return Comparison(len(shared), difference, why="the same with every seed")
    test = stats.ttest_rel(scores, others)
    interval = test.confidence_interval(CONFIDENCE)
    return Comparison(len(shared), difference, float(interval.low), float(interval.high), float(test.pvalue))


def corrected(family: Mapping[Key, Comparison]) -> dict[Key, Comparison]:
    """Return the comparisons of a family with their p-values corrected by Holm's method for all of the family.

    One without a test counts as p = 1, so a missing run makes no other result look better.
    """
    p_values = holm([1.0 if comparison.p is None else comparison.p for comparison in family.values()])
    return {
        key: comparison if comparison.p is None else replace(comparison, p_holm=p)
        for (key, comparison), p in zip(family.items(), p_values)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected by Holm's step-down method (1979), in their order.

    The k-th smallest of m is multiplied by m - k + 1 and is at least as large as those before it; none is above 1.
    """
    given = np.asarray(p_values, float)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)))
    return adjusted.tolist()
