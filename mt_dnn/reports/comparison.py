"""Tickets against the dense model: a paired t-test over seeds, with Holm's correction over sparsities."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
ALIKE = 1e-9  # points; differences this close differ by rounding alone


@dataclass(frozen=True)
class Comparison:
    """A ticket's score minus the dense model's, over the seeds that both have.

    `seeds`: how many; `difference`: their mean, in points (None without a shared seed); `low`, `high`: its 95 % interval;
    `p`: of the paired t-test; `corrected`: that p by Holm's method. The last four are None where there is no test, and `why` says why.
    """

    seeds: int
    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    corrected: float | None = None
    why: str = ""

    @property
    def distinguishable(self):
        """Whether the corrected test tells the difference from noise."""
        return self.corrected is not None and self.corrected < 1 - CONFIDENCE


def compare(values, reference):
    """Compare {seed: score} with {seed: score of the dense model}, paired over the seeds that stand in both; return a Comparison.

    With n differences of mean m and standard deviation s, t = m / (s / sqrt(n)) has n - 1 degrees of freedom (Student 1908).
    There is no test with fewer than two shared seeds, nor where all differences are equal.
    """
    shared = sorted(values.keys() & reference.keys())
    if not shared:
        return Comparison(0, None, why="no shared seed")
    own, dense = (np.array([scores[seed] for seed in shared]) for scores in (values, reference))
    difference = float(np.mean(own - dense))
    if len(shared) == 1:
        return Comparison(1, difference, why="1 shared seed")
    if np.ptp(own - dense) < ALIKE:
        return Comparison(len(shared), difference, why="the same with every seed")
    test = stats.ttest_rel(own, dense)
    interval = test.confidence_interval(CONFIDENCE)
    return Comparison(len(shared), difference, float(interval.low), float(interval.high), float(test.pvalue))


def compare_family(values, reference):
    """Compare each {seed: score} of the dictionary `values` with `reference`; return {key: Comparison}, corrected for all of them together."""
    compared = {key: compare(own, reference) for key, own in values.items()}
    tested = [key for key in compared if compared[key].p is not None]
    corrected = dict(zip(tested, holm([compared[key].p for key in tested])))
    return {key: replace(comparison, corrected=corrected.get(key)) for key, comparison in compared.items()}


def holm(p_values):
    """Return the p-values corrected by Holm's step-down method (1979), in their order.

    The k-th smallest of m is multiplied by m - k + 1 and is at least as large as those before it; none is above 1.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty_like(p_values)
    corrected[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return corrected.tolist()
