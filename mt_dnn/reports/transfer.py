"""Do tickets transfer? The section of the page on tasks that were trained under tickets of other tasks."""

from collections.abc import Callable, Iterator, Sequence

from mt_dnn.reports.comparison import Comparison, compare, corrected
from mt_dnn.reports.decisions import decisions
from mt_dnn.reports.hypotheses import Claim, Finding, decide
from mt_dnn.reports.page import Block, Heading, Table
from mt_dnn.reports.pairing import Pair, by_size, over_items, sizes_in_words
from mt_dnn.reports.points import Point, Size, Transition
from mt_dnn.reports.wording import difference_in_words, mean_std, p_value
from mt_dnn.run_folder import unless_default

KindAndSize = tuple[str, str | None, Size]  # kind, criterion, (heads, FFNs closed)


def transfer_section(transitions: Sequence[Transition]) -> Iterator[Block]:
    """Yield the blocks of the section; none where no task was trained under another task's ticket."""
    kinds = sorted(
        {_kind_and_size(point) for transition in transitions for point in transition.foreign},
        key=lambda found: (found[0], found[1] or "", found[2]),
    )
    if not kinds:
        return
    yield Heading("Do tickets transfer?")
    yield from decisions(transfer_findings(transitions))
    for kind in kinds:
        yield from _matrices(transitions, kind)


def transfer_findings(transitions: Sequence[Transition]) -> list[Finding]:
    """Return what came out for T1 and T2; [] where no task was trained under another task's ticket."""
    return decide(CLAIMS, transitions) if any(transition.foreign for transition in transitions) else []


def _kind_and_size(point: Point) -> KindAndSize:
    return point.kind, point.criterion, point.size


def _matrices(transitions: Sequence[Transition], kind: KindAndSize) -> Iterator[Block]:
    """Two tables of tasks and whose tickets they were trained under: scores, and differences to their own tickets."""
    name, criterion, (heads, ffns) = kind
    seeds_of = {
        transition: {seed for point in transition.foreign if _kind_and_size(point) == kind for seed in point.scores}
        for transition in transitions
    }
    rows = [transition for transition, seeds in seeds_of.items() if seeds]
    points = {
        (transition, point.owner): point
        for transition in rows
        for point in transition.points
        if _kind_and_size(point) == kind
    }
    owners = sorted({owner for _, owner in points})
    by = f" by {criterion}" if unless_default(criterion) else ""
    yield Heading(f"{name} tickets{by} of {heads} heads and {ffns} FFNs closed", 3)

    def score(transition: Transition, point: Point | None) -> str:
        seeds = seeds_of[transition]
        scores = {seed: value for seed, value in point.scores.items() if seed in seeds} if point else {}
        return mean_std(scores) if scores else ""

    yield Table(
        ["task", *(f"ticket of {owner}" for owner in owners), "random ticket", "dense model"],
        [
            [
                transition.title,
                *(score(transition, points.get((transition, owner))) for owner in owners),
                score(transition, by_size(transition.of_kind("random")).get((heads, ffns))),
                score(transition, transition.dense),
            ]
            for transition in rows
        ],
        "Scores on dev, means over the seeds with tickets of other tasks ± standard deviation.",
    )
    compared = corrected(
        {
            (transition, owner): compare(point.scores, points[transition, transition.task].scores)
            for (transition, owner), point in points.items()
            if owner != transition.task and (transition, transition.task) in points
        }
    )
    yield Table(
        ["task", *(f"ticket of {owner}" for owner in owners)],
        [[transition.title, *(_cell(compared.get((transition, owner))) for owner in owners)] for transition in rows],
        "Differences to the task's own ticket with their 95 % confidence intervals; p is corrected for all of them.",
    )


def _cell(comparison: Comparison | None) -> str:
    if not comparison:
        return ""
    p = f", p {p_value(comparison.p_holm)}" if comparison.p_holm is not None else ""
    return difference_in_words(comparison) + p


def _own_and_foreign(transition: Transition) -> tuple[Pair, str]:
    """T1: for each seed the mean score of its own tickets, and of other tasks' tickets of the same kinds and sizes."""
    own = {_kind_and_size(point): point for point in transition.own}
    nothing = "no winning tickets of its own and of other tasks that share size and seed"
    (foreign, its_own), tickets = _foreign_against(lambda point: own.get(_kind_and_size(point)), transition, nothing)
    return (its_own, foreign), tickets


def _foreign_and_random(transition: Transition) -> tuple[Pair, str]:
    """T2: for each seed the mean score of other tasks' winning tickets, and of random ones of the same sizes."""
    random = by_size(transition.of_kind("random"))
    nothing = "no winning tickets of other tasks and random ones that share size and seed"
    return _foreign_against(lambda point: random.get(point.size), transition, nothing)


def _foreign_against(
    partner: Callable[[Point], Point | None], transition: Transition, nothing: str
) -> tuple[Pair, str]:
    """Return over_items() of other tasks' winning tickets and the `partner` of each, and in words which these are."""
    both = {
        (point.owner, *_kind_and_size(point)): (point, other)
        for point in transition.foreign
        if point.kind == "winning" and (other := partner(point))
    }
    found, items = over_items(both, nothing)
    owners = dict.fromkeys(owner for owner, *_ in items)
    return found, f"tickets of {', '.join(owners)}; {sizes_in_words(size for *_, size in items)}"


CLAIMS = [
    Claim("T1", "winning tickets of the task itself are above those of other tasks", _own_and_foreign),
    Claim("T2", "winning tickets of other tasks are above random ones of equal size", _foreign_and_random),
]
