"""The hypotheses about tickets, each decided by one paired test over seeds and tasks."""

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from mt_dnn.reports.choice import best
from mt_dnn.reports.comparison import Comparison, SeedScores, compare, corrected
from mt_dnn.reports.points import Point, Size, Transition

Item = TypeVar("Item", bound=Hashable)
Pair = tuple[SeedScores, SeedScores]  # {seed: score}, of what should be above and of what should be below


@dataclass(frozen=True)
class Claim:
    """A hypothesis, to be decided on dev.

    `name`: "H1"; `claim`: in words; `pair`: returns the Pair of a task and how it came about, or raises NoPart;
    `on_held_out_rows`: whether held-out training rows can show it, too, as they choose nothing.
    """

    name: str
    claim: str
    pair: Callable[[Transition], tuple[Pair, str]]
    on_held_out_rows: bool = True


class NoPart(Exception):
    """Why a task takes no part in a test."""


@dataclass(frozen=True)
class Finding:
    """What came out for a Claim.

    `overall`: the comparison that decides, over all tasks; `by_task`: {task: its comparison}; `without`: {task: the
    comparison over all other tasks, not corrected}; `how`: {task: how it came about}; `left_out`: {task: why it takes
    no part}; `held_out`, `held_out_by_task`: the comparisons on the held-out training rows, not corrected; None and {}
    where there are none.
    """

    name: str
    claim: str
    overall: Comparison
    by_task: dict[str, Comparison]
    without: dict[str, Comparison]
    how: dict[str, str]
    left_out: dict[str, str]
    held_out: Comparison | None
    held_out_by_task: dict[str, Comparison]


def decide(claims: Iterable[Claim], transitions: Iterable[Transition]) -> list[Finding]:
    """Return a Finding for each Claim, corrected for all of them that have runs."""
    transitions = list(transitions)
    findings = [_test(claim, transitions) for claim in claims]
    overall = corrected({found.name: found.overall for found in findings if found.by_task})
    return [replace(found, overall=overall.get(found.name, found.overall)) for found in findings]


def _test(claim: Claim, transitions: list[Transition]) -> Finding:
    pairs, how, left_out = {}, {}, {}
    for transition in transitions:
        try:
            if not transition.has_learnt:
                raise NoPart("the dense model is not better than the baseline")
            pairs[transition.title], how[transition.title] = claim.pair(transition)
        except NoPart as why:
            left_out[transition.title] = str(why)
    by_task = corrected({task: compare(*pair) for task, pair in pairs.items()})
    others = {task: {other: pair for other, pair in pairs.items() if other != task} for task in pairs}
    without = {task: compare(*over_tasks(rest)) for task, rest in others.items() if rest}
    held_out = _on_held_out_rows(claim, [transition for transition in transitions if transition.title in pairs], how)
    return Finding(
        claim.name,
        claim.claim,
        compare(*over_tasks(pairs)),
        by_task,
        without,
        how,
        left_out,
        compare(*over_tasks(held_out)) if held_out else None,
        {task: compare(*pair) for task, pair in held_out.items()},
    )


def _on_held_out_rows(claim: Claim, transitions: Iterable[Transition], how: Mapping[str, str]) -> dict[str, Pair]:
    """{task: Pair on its held-out training rows}; {} unless every task has one, of the same tickets as on dev."""
    if not claim.on_held_out_rows:
        return {}
    try:
        found = {transition.title: claim.pair(transition.on_held_out_rows()) for transition in transitions}
    except NoPart:
        return {}
    same_tickets = all(found[task][1] == how[task] for task in found)
    return {task: pair for task, (pair, _) in found.items()} if same_tickets else {}


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

    Each of these seeds has each of these items. If runs are missing, the choice that keeps most runs is taken; of
    equals, the one with more seeds.
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
    return max(choices, key=lambda choice: (len(choice[0]) * len(choice[1]), len(choice[0])), default=([], []))


def over_items(points: Mapping[Item, tuple[Point, Point]], nothing: str) -> tuple[Pair, list[Item]]:
    """Return the Pair of means over items of two points each, and the items that the seeds have in common.

    Raises NoPart with `nothing` where no seed has both points of an item.
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
    """Return over_items() of the points of equal size, and the sizes in words."""
    found, sizes = over_items(at_same_sizes(ones, others), nothing)
    return found, in_sizes(sizes)


def at_same_sizes(ones: Iterable[Point], others: Iterable[Point]) -> dict[Size, tuple[Point, Point]]:
    """{(heads, FFNs closed): (one, other)}."""
    one, other = by_size(ones), by_size(others)
    return {size: (one[size], other[size]) for size in one if size in other}


def by_size(points: Iterable[Point]) -> dict[Size, Point]:
    """{(heads, FFNs closed): Point}."""
    return {point.size: point for point in points}


def in_sizes(sizes: Iterable[Size]) -> str:
    """Sizes of tickets in words."""
    return "sizes: " + ", ".join(f"{heads} + {ffns}" for heads, ffns in sorted(set(sizes)))


def chosen_and_dense(transition: Transition) -> tuple[Pair, str]:
    """H1: for each seed the winning ticket of the size that the other seeds choose on their held-out rows.

    If a seed chose by its own held-out rows, it would pick its luckiest run. With one seed there is no other, so it
    chooses itself and there is no test.
    """
    dense, winning = transition.dense, [point for point in transition.of_kind("winning") if point.held_out]
    if not dense:
        raise NoPart("there is no dense model")
    if not winning:
        raise NoPart("no winning tickets with held-out rows")
    available = {seed: [point for point in winning if seed in point.held_out] for seed in dense.scores}
    seeds, points = complete(available)
    if not seeds:
        raise NoPart("winning tickets and the dense model share no seed")
    chosen: dict[int, Point] = {}
    for seed in seeds:
        others = [other for other in seeds if other != seed] or [seed]
        pick = best(points, lambda point, others=others: {other: point.held_out[other] for other in others})
        assert pick
        chosen[seed] = pick
    counts = {f"{point.heads} + {point.ffns}": list(chosen.values()).count(point) for point in chosen.values()}
    how = "chosen: " + ", ".join(f"{size} for {count} of {len(seeds)} seeds" for size, count in counts.items())
    return ({seed: point.scores[seed] for seed, point in chosen.items()}, dense.scores), how


def kind_and_kind(above: str, below: str) -> Callable[[Transition], tuple[Pair, str]]:
    """H2, H3: for each seed the mean score of two kinds of tickets over the sizes at which it has both."""
    nothing = f"no {above} and {below} tickets that share size and seed"
    return lambda transition: over_sizes(transition.of_kind(above), transition.of_kind(below), nothing)


CLAIMS = [
    Claim("H1", "the best winning ticket, chosen on held-out rows, is above the dense model", chosen_and_dense, False),
    Claim("H2", "winning tickets are above random ones of equal size", kind_and_kind("winning", "random")),
    Claim("H3", "random tickets are above losing ones of equal size", kind_and_kind("random", "losing")),
]
