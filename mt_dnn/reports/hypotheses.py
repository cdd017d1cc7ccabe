"""The hypotheses about tickets, each decided by one paired test over seeds and tasks."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mt_dnn.reports.choice import best
from mt_dnn.reports.pairing import NoPart, OverTasks, Pair, compare_tasks, complete, corrected_together, over_sizes
from mt_dnn.reports.points import Point, Transition
from mt_dnn.reports.wording import size_in_words


@dataclass(frozen=True)
class Claim:
    """A hypothesis, to be decided on dev.

    `name`: "H1"; `words`: what it says; `pair`: returns the scores of both sides on a task, and in words which tickets
    they are; raises NoPart; `on_held_out_rows`: whether held-out training rows can show it, too, as they choose
    nothing.
    """

    name: str
    words: str
    pair: Callable[[Transition], tuple[Pair, str]]
    on_held_out_rows: bool = True


@dataclass(frozen=True)
class Finding(OverTasks):
    """What came out for a `claim`; `overall` decides.

    `tickets`: {task: which tickets are compared, in words}; `left_out`: {task: why it takes no part}.
    """

    claim: Claim
    tickets: dict[str, str]
    left_out: dict[str, str]


def decide(claims: Iterable[Claim], transitions: Iterable[Transition]) -> list[Finding]:
    """Return a Finding for each Claim, corrected for all of them that have runs."""
    transitions = list(transitions)
    return corrected_together([_test(claim, transitions) for claim in claims])


def _test(claim: Claim, transitions: list[Transition]) -> Finding:
    pairs, tickets, left_out = {}, {}, {}
    for transition in transitions:
        try:
            if not transition.has_learnt:
                raise NoPart("the dense model is not better than the baseline")
            pairs[transition.title], tickets[transition.title] = claim.pair(transition)
        except NoPart as why:
            left_out[transition.title] = str(why)
    taking_part = [transition for transition in transitions if transition.title in pairs]
    compared = compare_tasks(pairs, _on_held_out_rows(claim, taking_part, tickets))
    return Finding(**vars(compared), claim=claim, tickets=tickets, left_out=left_out)


def _on_held_out_rows(claim: Claim, transitions: Iterable[Transition], tickets: Mapping[str, str]) -> dict[str, Pair]:
    """{task: Pair on its held-out training rows}; {} unless every task has one, of the same tickets as on dev."""
    if not claim.on_held_out_rows:
        return {}
    try:
        found = {transition.title: claim.pair(transition.on_held_out_rows()) for transition in transitions}
    except NoPart:
        return {}
    same_tickets = all(found[task][1] == tickets[task] for task in found)
    return {task: pair for task, (pair, _) in found.items()} if same_tickets else {}


def chosen_and_dense(transition: Transition) -> tuple[Pair, str]:
    """H1: for each seed the winning ticket of the size that the other seeds choose on their held-out rows.

    If a seed chose by its own held-out rows, it would pick its luckiest run. With one seed there is no other, so it
    chooses itself and there is no test. Raises NoPart if dense model or held-out rows are missing.
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
    counts = Counter(size_in_words(point.size) for point in chosen.values())
    tickets = "chosen: " + ", ".join(f"{size} for {count} of {len(seeds)} seeds" for size, count in counts.items())
    return ({seed: point.scores[seed] for seed, point in chosen.items()}, dense.scores), tickets


def kind_and_kind(above: str, below: str) -> Callable[[Transition], tuple[Pair, str]]:
    """H2, H3: for each seed the mean score of two kinds of tickets over the sizes at which it has both."""
    nothing = f"no {above} and {below} tickets that share size and seed"
    return lambda transition: over_sizes(transition.of_kind(above), transition.of_kind(below), nothing)


CLAIMS = [
    Claim("H1", "the best winning ticket, chosen on held-out rows, is above the dense model", chosen_and_dense, False),
    Claim("H2", "winning tickets are above random ones of equal size", kind_and_kind("winning", "random")),
    Claim("H3", "random tickets are above losing ones of equal size", kind_and_kind("random", "losing")),
]
