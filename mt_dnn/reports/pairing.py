"""Pairs of scores: two sides of a comparison, over the seeds, sizes and tasks that both have."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mt_dnn.reports.comparison import Comparison, SeedScores, compare, corrected
from mt_dnn.reports.points import Point, Size
from mt_dnn.reports.wording import size_in_words

Item = TypeVar("Item", bound=Hashable)  # what two points are paired by: a size, or a size and whose ticket it is
Pair = tuple[SeedScores, SeedScores]  # {seed: score}, of what should be above and of what should be below


class NoPart(Exception):
    """Why a task takes no part in a test."""


@dataclass(frozen=True)
class OverTasks:
    """Two sides compared over tasks.

    `overall`: in the mean over all tasks; `by_task`: {task: on this task}, corrected for the tasks; `without`: {task:
    in the mean over all other tasks, not corrected}; `held_out`, `held_out_by_task`: the first two on the held-out
    training rows, not corrected; None and {} where there are none.
    """

    overall: Comparison
    by_task: dict[str, Comparison]
    without: dict[str, Comparison]
    held_out: Comparison | None
    held_out_by_task: dict[str, Comparison]


Compared = TypeVar("Compared", bound=OverTasks)


def compare_tasks(pairs: Mapping[str, Pair], held_out: Mapping[str, Pair]) -> OverTasks:
    """Compare {task: its Pair}; `held_out`: the same on held-out training rows, {} where there are none."""
    others = {task: {other: pair for other, pair in pairs.items() if other != task} for task in pairs}
    return OverTasks(
        compare(*over_tasks(pairs)),
        corrected({task: compare(*pair) for task, pair in pairs.items()}),
        {task: compare(*over_tasks(rest)) for task, rest in others.items() if rest},
        compare(*over_tasks(held_out)) if held_out else None,
        {task: compare(*pair) for task, pair in held_out.items()},
    )


def corrected_together(found: Sequence[Compared]) -> list[Compared]:
    """Return them with `overall` corrected for all of them that have a task."""
    overall = corrected({at: each.overall for at, each in enumerate(found) if each.by_task})
    return [replace(each, overall=overall.get(at, each.overall)) for at, each in enumerate(found)]


def over_tasks(pairs: Mapping[str, Pair]) -> Pair:
    """Return the mean over tasks of each side, for the seeds that every task has on both sides."""
    seeds: set[int] = set()
    if pairs:
        seeds = set.intersection(*(values.keys() & reference.keys() for values, reference in pairs.values()))
    return _means(list(pairs.values()), sorted(seeds))


def _means(pairs: Sequence[Pair], seeds: Iterable[int]) -> Pair:
    """Return the mean of each side over `pairs`, all of which have these seeds."""
    above, below = ({seed: sum(pair[side][seed] for pair in pairs) / len(pairs) for seed in seeds} for side in (0, 1))
    return above, below


def complete(available: Mapping[int, Collection[Item]]) -> tuple[list[int], list[Item]]:
    """Return the seeds and the items to compare them on, from {seed: items that it has}.

    Each of these seeds has each of these items. If runs are missing, the choice with the largest (seeds - 1) x items is
    taken, as a test has seeds - 1 degrees of freedom; of equals, the one with more seeds. (All choices are tried. That
    is slow for more than 15 seeds, each of which lacks another item.)
    """
    in_common: dict[frozenset[Item], None] = {}  # what one or several of the seeds have in common
    for items in available.values():
        in_common |= dict.fromkeys([frozenset(items), *(others.intersection(items) for others in in_common)])
    in_order = dict.fromkeys(item for items in available.values() for item in items)
    choices = [
        (
            sorted(seed for seed, others in available.items() if items.issubset(others)),
            [item for item in in_order if item in items],
        )
        for items in in_common
        if items
    ]

    def worth(choice: tuple[list[int], list[Item]]) -> tuple[int, int]:
        n_seeds, n_items = map(len, choice)
        return (n_seeds - 1) * n_items, n_seeds

    return max(choices, key=worth, default=([], []))


def over_items(points: Mapping[Item, tuple[Point, Point]], nothing: str) -> tuple[Pair, list[Item]]:
    """Return (the Pair of {seed: mean score over the items}, of the first and of the second points; the items).

    The items are those that all seeds of the Pair have: see complete(). Raises NoPart(`nothing`) where no seed has both
    points of an item.
    """
    available: dict[int, list[Item]] = {}
    for item, (one, other) in points.items():
        for seed in one.scores.keys() & other.scores.keys():
            available.setdefault(seed, []).append(item)
    seeds, items = complete(available)
    if not seeds:
        raise NoPart(nothing)
    pairs = [(one.scores, other.scores) for one, other in (points[item] for item in items)]
    return _means(pairs, seeds), items


def over_sizes(ones: Iterable[Point], others: Iterable[Point], nothing: str) -> tuple[Pair, str]:
    """Return over_items() of the points of equal size, and the sizes in words. Raises NoPart as over_items() does."""
    found, sizes = over_items(at_same_sizes(ones, others), nothing)
    return found, sizes_in_words(sizes)


def at_same_sizes(ones: Iterable[Point], others: Iterable[Point]) -> dict[Size, tuple[Point, Point]]:
    """{(heads, FFNs closed): (one, other)}."""
    one, other = by_size(ones), by_size(others)
    return {size: (one[size], other[size]) for size in one if size in other}


def by_size(points: Iterable[Point]) -> dict[Size, Point]:
    """{(heads, FFNs closed): Point}."""
    return {point.size: point for point in points}


def sizes_in_words(sizes: Iterable[Size]) -> str:
    """Sizes of tickets in words."""
    return "sizes: " + ", ".join(map(size_in_words, sorted(set(sizes))))
