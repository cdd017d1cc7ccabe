"""What the page of the phase transition holds, block by block.

Another column in a table is one more entry in the dictionary of its columns.
"""

from collections.abc import Iterator, Mapping, Sequence

from mt_dnn.records.record import Failure
from mt_dnn.reports import figures
from mt_dnn.reports.all_tasks import all_tasks_section
from mt_dnn.reports.choice import DEV, HELD_OUT, Protocol, best, boundary, super_ticket, unlike_seeds
from mt_dnn.reports.compare_criteria import criteria_section
from mt_dnn.reports.decisions import decisions
from mt_dnn.reports.failures import failure_blocks
from mt_dnn.reports.how_tested import PHASE_TRANSITION
from mt_dnn.reports.hypotheses import Finding
from mt_dnn.reports.importances import by_criterion
from mt_dnn.reports.overlap import Tickets, overlaps, winning_tickets
from mt_dnn.reports.page import Block, Bullets, Columns, Heading, Paragraph, Picture, Table, paragraphs, table_of
from mt_dnn.reports.points import Point, Transition, criteria_of
from mt_dnn.reports.sentences import about, repeat_lines, sentences, unlike_lines
from mt_dnn.reports.transfer import transfer_section
from mt_dnn.reports.wording import difference_in_words, in_words, mean_std, p_or_why, size_in_words
from mt_dnn.tickets.ticket import TICKET_KINDS, Scores

FIGURE = "report.png"  # the phase transition of all tasks
BARS = "Bars and the band of the dense model: standard deviation over seeds, where there are several."
WHAT_TICKETS_ARE = (
    " A ticket closes attention heads and FFNs (their outputs count as 0): a winning one those with the lowest "
    "importance scores, a losing one those with the highest, a random one random ones."
)
SECONDS_NOTE = "s/epoch: seconds per epoch, the median over runs; whatever else the machine did meanwhile is in them."


def blocks(
    transitions: Sequence[Transition],
    tested: Sequence[Finding],
    importance_files: Mapping[str, tuple[str, dict]],
    failed: Sequence[Failure],
) -> list[Block]:
    """Return the blocks of the page.

    `tested`: the hypotheses; `importance_files`: see read_importance_files; `failed`: see read_failures.
    """
    page: list[Block] = [Heading("Phase transition", 1), *_overview(transitions, failed)]
    page += [Heading("Hypotheses"), *decisions(tested), *all_tasks_section(transitions)]
    for transition in transitions:
        page += _task(transition, FIGURE if len(transitions) == 1 else "")
    importances = by_criterion(importance_files)
    page += [*criteria_section(transitions, importances), *transfer_section(transitions)]
    page += [*_tickets(transitions, importances), *_runs(transitions, failed)]
    return [*page, Heading("Tests and their correction"), *paragraphs(PHASE_TRANSITION)]


# ---- all tasks ----


def _overview(transitions: Sequence[Transition], failed: Sequence[Failure]) -> Iterator[Block]:
    points = [point for transition in transitions for point in transition.points]
    runs = [run for point in points for run in point.runs.values()]
    encoders = dict.fromkeys(run.result["model"]["name"] for run in runs)
    tasks = len({transition.task for transition in transitions})
    seeds = sorted({seed for point in points for seed in point.runs})
    kinds = [kind for kind in TICKET_KINDS if any(point.kind == kind for point in points)]
    rewound = "rewound to the pre-trained weights and trained again, against the dense model"
    yield Paragraph(
        f"{len(runs)} runs of {', '.join(encoders)} on {tasks} task{'s' * (tasks > 1)}, seed{'s' * (len(seeds) > 1)} "
        f"{', '.join(map(str, seeds))}. Each task's "
        + (f"{in_words(kinds)} tickets, {rewound}." if kinds else "dense model.")
        + (WHAT_TICKETS_ARE if kinds else "")
        + f" Runs that failed: {len(failed)}, listed below." * bool(failed)
    )
    yield from map(Paragraph, [*unlike_lines(runs), *repeat_lines(points)])
    held_out = _chosen(HELD_OUT) if any(point.held_out for point in points) else {}
    yield table_of(
        OVERVIEW | held_out,
        transitions,
        "Numbers are means over seeds ± their standard deviation, in points: 100 times the metric. The baseline "
        "gives every row the most frequent label of dev, or the mean of dev's labels. A ticket is shown as its "
        "remaining weights (of the whole encoder with its embeddings, which no ticket closes), and how many heads + "
        "FFNs it closes. The phase boundary is the sparsest winning ticket that is not below dense; means decide, "
        "so noise can move it. A super ticket chosen on dev is the best of several, so its dev score is biased "
        "upwards. Choosing on held-out rows avoids the luck of the dev rows, but not the luck of the chosen runs "
        "(H1 avoids both). A super ticket may be the dense model; H1 chooses among winning tickets alone."
        + _about_criteria(transitions)
        + _about_seeds(transitions),
    )
    if len(transitions) > 1:
        yield Picture(
            figures.as_svg(figures.phase_transitions(transitions)),
            f"All tasks: score on dev against remaining weights. {BARS}",
            FIGURE,
        )


def _about_criteria(transitions: Sequence[Transition]) -> str:
    """A sentence that says whose winning tickets these are, where there are several criteria."""
    if len(criteria_of(transitions)) < 2:
        return ""
    main = ", ".join(dict.fromkeys(f"`{transition.criteria[0]}`" for transition in transitions if transition.criteria))
    return f" Winning and super tickets here, and in the hypotheses, are those by {main}."


def _about_seeds(transitions: Sequence[Transition]) -> str:
    """A sentence that warns of means over different seeds."""
    unlike = [transition.title for transition in transitions if unlike_seeds(transition)]
    return f" Winning tickets and dense model do not all have the same seeds: {in_words(unlike)}." if unlike else ""


def _weights_and_size(point: Point | None) -> str:
    return f"{point.percent} ({size_in_words(point.size)})" if point else ""


def _score(point: Point | None) -> str:
    return mean_std(point.scores) if point else ""


def _chosen(protocol: Protocol) -> Columns:
    return {
        f"super ticket, chosen on {protocol.on}": lambda transition: _weights_and_size(
            super_ticket(transition, protocol)
        ),
        f"dev score of the one chosen on {protocol.on}": lambda transition: _score(super_ticket(transition, protocol)),
    }


OVERVIEW: Columns = {
    "task": lambda transition: transition.title,
    "score": lambda transition: transition.score_name,
    "baseline": lambda transition: f"{transition.baseline.score:.1f}" if transition.baseline else "",
    "dense model": lambda transition: _score(transition.dense),
    "best winning ticket on dev": lambda transition: _score(best(transition.of_kind("winning"))),
    "phase boundary": lambda transition: _weights_and_size(boundary(transition)[0]) if transition.dense else "",
    **_chosen(DEV),
}


# ---- one task ----


def _task(transition: Transition, file: str) -> Iterator[Block]:
    yield Heading(transition.title)
    yield Paragraph(f"Measured: {about(transition)}.")
    yield Bullets(list(sentences(transition)))
    yield Picture(
        figures.as_svg(figures.phase_transition(transition)),
        f"{transition.title}: {transition.score_in_words} on dev against remaining weights. {BARS}",
        file,
    )
    yield table_of(_point_columns(transition), transition.points, SECONDS_NOTE)


def _point_columns(transition: Transition) -> Columns:
    """The columns of a task's table, which has a row for each of its points."""
    compared = transition.to_dense
    tested = any(comparison.p_holm is not None for comparison in compared.values())
    not_learnt = {point: transition.not_learnt(point) for point in transition.points}

    def seeds(point: Point) -> str:
        count = len(point.runs)
        shared = compared[point].seeds if point in compared else count
        return str(count) if shared == count else f"{count}, {shared} shared"

    columns: Columns = {
        "ticket": lambda point: point.name,
        "heads closed": lambda point: point.heads,
        "FFNs closed": lambda point: point.ffns,
        "weights": lambda point: point.percent,
    }
    for name, metric in transition.metrics.items():
        columns[name] = lambda point, metric=metric: mean_std(point.values(*metric))
    if len(transition.metrics) > 1:
        columns["score"] = lambda point: mean_std(point.scores)
    if any(point.held_out for point in transition.points):
        columns[f"held-out {transition.score_name}"] = lambda point: mean_std(point.held_out) if point.held_out else ""
    columns["to dense [95 %]" if tested else "to dense"] = lambda point: difference_in_words(compared.get(point))
    if tested:
        columns["p (Holm)"] = lambda point: p_or_why(compared.get(point))
    if any(not_learnt.values()):
        columns["runs not above the baseline"] = lambda point: len(not_learnt[point]) or ""
    return columns | {
        "seeds": seeds,
        "s/epoch": lambda point: f"{point.seconds:.1f}",
        f"folder in {transition.base}" if transition.base else "folder": lambda point: (
            "." if point.folder == transition.base else point.folder.removeprefix(f"{transition.base}/")
        ),
    }


# ---- what the tickets are ----


def _tickets(
    transitions: Sequence[Transition], importances: Mapping[str, Mapping[tuple[str, int], Scores]]
) -> Iterator[Block]:
    yield Heading("What the tickets are")
    found = winning_tickets(transitions)
    if len(criteria_of(transitions)) > 1:
        yield Paragraph("Winning tickets by each task's main criterion (the default one where it has runs).")
    if not found:
        yield Paragraph("No winning tickets among the runs, so nothing about what they close.")
    for tickets in found:
        yield from _overlaps(tickets)
        yield Heading(f"What survives in each layer, winning tickets of {tickets.encoder}", 3)
        for task in tickets.tasks:
            yield Picture(
                figures.as_svg(figures.layers_that_survive(tickets, task)),
                f"{task}: heads and FFNs of each layer that stay open, means over seeds.",
            )
    yield Heading("Importance", 3)
    if not importances:
        yield Paragraph("No importance.json below the given folders, so no heat maps.")
    for criterion, maps in importances.items():
        yield Picture(
            figures.as_svg(figures.importance_maps(maps)),
            f"Importance by the criterion `{criterion}`. Columns are heads (L2-normalised within their layer), rows "
            "are layers. Narrow column: FFNs, divided by the largest. Bright is important.",
        )


def _overlaps(tickets: Tickets) -> Iterator[Block]:
    overlapping = {"heads": overlaps(tickets, "heads"), "FFNs": overlaps(tickets, "ffns")}
    if not any(overlapping.values()):
        yield Paragraph(
            f"No overlap to show for {tickets.encoder}: it needs winning tickets of one size of two tasks or seeds."
        )
    for units, rows in overlapping.items():
        if sizes := [size for size in tickets.sizes if any(size in indices for indices in rows.values())]:
            yield Heading(f"Overlap of closed {units}, winning tickets of {tickets.encoder}", 3)
            yield Table(
                ["heads + FFNs closed", *map(size_in_words, sizes)],
                [
                    [pair, *(f"{indices[size]:.2f}" if size in indices else "" for size in sizes)]
                    for pair, indices in rows.items()
                ],
                f"Jaccard index: closed {units} that two tickets share, by those that either closes; means over all "
                "pairs of tickets. Chance: what two independent, uniformly random choices of the same sizes are "
                "expected to have.",
            )


# ---- all runs ----


def _runs(transitions: Sequence[Transition], failed: Sequence[Failure]) -> Iterator[Block]:
    yield Heading("All runs")
    yield from failure_blocks(failed)
    for transition in transitions:
        yield Heading(transition.title, 3)
        runs = [(point, seed) for point in transition.points for seed in point.runs]
        yield table_of(_run_columns(transition), runs)


def _run_columns(transition: Transition) -> Columns:
    """The columns of the table of all runs; a row is a Point and a seed."""
    columns: Columns = {
        "ticket": lambda row: row[0].name,
        "heads closed": lambda row: row[0].heads,
        "FFNs closed": lambda row: row[0].ffns,
        "seed": lambda row: row[1],
    }
    for name, metric in transition.metrics.items():
        columns[name] = lambda row, metric=metric: f"{row[0].values(*metric)[row[1]]:.2f}"
    return columns | {"folder": lambda row: row[0].runs[row[1]].name}
