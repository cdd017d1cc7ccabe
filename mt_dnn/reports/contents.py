"""What the report holds: the blocks of its page, and the lines of its CSV file."""

from mt_dnn.reports import figures
from mt_dnn.reports.choice import DEV, HELD_OUT, best, boundary, super_ticket
from mt_dnn.reports.findings import about, difference, findings, p_value
from mt_dnn.reports.overlap import overlaps, read_importances, read_tickets
from mt_dnn.reports.page import Bullets, Heading, Paragraph, Picture, Table
from mt_dnn.reports.points import mean, show, spread

FIGURE = "report.png"  # the phase transition of all tasks
BARS = "Bars and the band of the dense model: standard deviation over seeds, where there are several."
TEST = (
    'Numbers are means over seeds ± their standard deviation, in points: 100 times the metric. "To dense" is the mean difference to the dense model '
    "over the seeds that both have, with its 95 % confidence interval. p is that of the paired t-test over seeds (two-sided: is the mean difference zero?), "
    "corrected by Holm's method for the number of sparsities of one kind of ticket on one task; the intervals are not corrected. Test and intervals cover "
    "what varies with the seed, not which rows happen to be in dev. With fewer than two shared seeds, or the same difference with every seed, there is no test."
)


def blocks(transitions, failed, folders):
    """Return the blocks of the page about all Transitions, the `failed` runs (see failed_runs), and masks and importance scores below `folders`."""
    page = [Heading("Phase transition", 1), *_overview(transitions, failed)]
    for transition in transitions:
        page += _task(transition, FIGURE if len(transitions) == 1 else "")
    return [*page, *_tickets(transitions, folders), *_runs(transitions, failed)]


def _table(columns, items, note=""):
    """A Table with a row per item, from {column: what it shows of an item}."""
    return Table(list(columns), [[str(show_it(item)) for show_it in columns.values()] for item in items], note)


def _overview(transitions, failed):
    encoders = dict.fromkeys(
        result["model"]["name"]
        for transition in transitions
        for point in transition.points
        for _, result in point.runs.values()
    )
    runs = sum(len(point.runs) for transition in transitions for point in transition.points)
    yield Paragraph(
        f"{runs} runs of {', '.join(encoders)} on {len(transitions)} task{'s' * (len(transitions) > 1)}. "
        "Each task's winning, random and losing tickets, rewound to the pre-trained weights and trained again, against the dense model."
        + f" Runs that failed: {len(failed)}, listed below."
        * bool(failed)
    )

    def best_winning(transition):
        return show(point.scores) if (point := best(transition.of_kind("winning"))) else ""

    def sparsest(transition):
        return _level(boundary(transition)[0]) if transition.dense else ""

    def chosen(protocol):
        return {
            f"super ticket, chosen on {protocol.on}": lambda transition: _level(super_ticket(transition, protocol)),
            f"its dev score ({protocol.on})": lambda transition: (
                show(point.scores) if (point := super_ticket(transition, protocol)) else ""
            ),
        }

    yield _table(
        {
            "task": lambda transition: transition.task,
            "score": lambda transition: transition.score_name,
            "dense model": lambda transition: show(transition.dense.scores) if transition.dense else "",
            "best winning ticket": best_winning,
            "sparsest winning ticket not below dense": sparsest,
            **chosen(DEV),
            **chosen(HELD_OUT),
        },
        transitions,
        "Tickets by their remaining weights, and the heads + FFNs that they close. The dev score of a super ticket is biased upwards where it was "
        "chosen on dev, as the best of several, and unbiased where it was chosen on held-out rows.",
    )
    if len(transitions) > 1:
        yield Picture(
            figures.as_svg(figures.phase_transitions(transitions)),
            f"All tasks: score on dev against remaining weights. {BARS}",
            FIGURE,
        )
    yield Heading("How to read the numbers", 3)
    yield Paragraph(TEST)


def _level(point):
    return f"{100 * point.remaining:.1f} % ({point.heads} + {point.ffns})" if point else ""


def _task(transition, file):
    yield Heading(transition.task)
    yield Paragraph(f"Measured: {about(transition)}.")
    yield Bullets(list(findings(transition)))
    yield Picture(
        figures.as_svg(figures.phase_transition(transition)),
        f"{transition.task}: {transition.score} on dev against remaining weights. {BARS}",
        file,
    )

    compared = transition.to_dense
    columns = {
        "ticket": lambda point: point.kind,
        "heads closed": lambda point: point.heads,
        "FFNs closed": lambda point: point.ffns,
        "weights": lambda point: f"{100 * point.remaining:.1f} %",
    }
    columns |= {
        name: lambda point, metric=metric: show(point.values(*metric)) for name, metric in transition.metrics.items()
    }
    if len(transition.metrics) > 1:
        columns["score"] = lambda point: show(point.scores)
    if any(point.held_out for point in transition.points):
        columns[f"held-out {transition.score_name}"] = lambda point: show(point.held_out) if point.held_out else ""

    def seeds(point):
        shared = compared[point].seeds if point in compared else len(point.runs)
        return len(point.runs) if shared == len(point.runs) else f"{len(point.runs)}, {shared} shared"

    yield _table(
        columns
        | {
            "to dense [95 %]": lambda point: difference(compared[point]) if point in compared else "",
            "p (Holm)": lambda point: (
                p_value(compared[point].corrected) or compared[point].why if point in compared else ""
            ),
            "seeds": seeds,
            "s/epoch": lambda point: f"{point.seconds:.1f}",
            "folder": lambda point: point.folder.removeprefix(f"{transition.base}/"),
        },
        transition.points,
        f"Folders are below {transition.base} where they do not begin with it." if transition.base else "",
    )


def _tickets(transitions, folders):
    yield Heading("What the tickets are")
    found = read_tickets(
        folders, {(point.heads, point.ffns) for transition in transitions for point in transition.of_kind("winning")}
    )
    if not found:
        yield Paragraph(
            "No winning masks of single tasks (masks/winning) below the given folders, so nothing about what they close."
        )
    for tickets in found:
        overlapping = {"heads": overlaps(tickets, "heads"), "FFNs": overlaps(tickets, "ffns")}
        if not any(overlapping.values()):
            yield Paragraph(
                f"Masks of one task and one seed for {tickets.encoder}: no two tickets whose overlap could be shown."
            )
        for units, rows in overlapping.items():
            if levels := [level for level in tickets.levels if any(level in own for own in rows.values())]:
                yield Heading(f"Overlap of closed {units}, winning tickets of {tickets.encoder}", 3)
                yield Table(
                    ["heads + FFNs closed", *(f"{n_heads} + {n_ffns}" for n_heads, n_ffns in levels)],
                    [
                        [pair, *(f"{own[level]:.2f}" if level in own else "" for level in levels)]
                        for pair, own in rows.items()
                    ],
                    f"Jaccard index: closed {units} that two tickets share, by those that either closes; means over all pairs of tickets. "
                    "Chance: what two independent, uniformly random choices of the same sizes are expected to have.",
                )
        yield Heading(f"What survives in each layer, winning tickets of {tickets.encoder}", 3)
        for task in tickets.tasks:
            yield Picture(
                figures.as_svg(figures.layers_that_survive(tickets, task)),
                f"{task}: heads and FFNs of each layer that stay open, means over seeds.",
            )
    yield Heading("Importance", 3)
    if importances := read_importances(folders):
        yield Picture(
            figures.as_svg(figures.importance_maps(importances)),
            "Heads across (L2-normalised within their layer), layers upwards; "
            "the narrow column is the FFNs, by the largest of them. Bright is important.",
        )
    else:
        yield Paragraph("No importance.json below the given folders, so no heat maps.")


def _runs(transitions, failed):
    yield Heading("All runs")
    if failed:
        yield Heading("Failed", 3)
        yield _table({"folder": lambda run: run[0], "why": lambda run: run[1]}, failed)
    for transition in transitions:
        yield Heading(transition.task, 3)
        yield _table(
            {
                "ticket": lambda run: run[0].kind,
                "heads closed": lambda run: run[0].heads,
                "FFNs closed": lambda run: run[0].ffns,
                "seed": lambda run: run[1],
                **{
                    name: lambda run, metric=metric: f"{run[0].values(*metric)[run[1]]:.2f}"
                    for name, metric in transition.metrics.items()
                },
                "folder": lambda run: run[0].runs[run[1]][0],
            },
            [(point, seed) for point in transition.points for seed in point.runs],
        )


CSV_COLUMNS = [
    "task",
    "ticket",
    "heads_closed",
    "ffns_closed",
    "remaining_weights",
    "dataset",
    "metric",
    "mean",
    "std",
    "seeds",
    "to_dense",
    "low",
    "high",
    "p",
    "p_holm",
    "paired_seeds",
    "seconds_per_epoch",
    "folders",
]


def csv_lines(transition):
    """Yield a dictionary per point and metric, and for its score where that is not the only metric. Scores from -1 to 1; the comparison with
    the dense model stands beside the score."""

    def digits(value, scale=100):
        return "" if value is None else float(f"{value / scale:.6g}")

    for point in transition.points:
        comparison = transition.to_dense.get(point)
        compared = (
            [
                digits(comparison.difference),
                digits(comparison.low),
                digits(comparison.high),
                digits(comparison.p, 1),
                digits(comparison.corrected, 1),
                comparison.seeds,
            ]
            if comparison
            else [""] * 6
        )
        values = {metric: point.values(*metric) for metric in transition.metrics.values()}
        if len(values) > 1:
            values["", "score"] = point.scores
        *_, score = values  # the last one: the only metric, or their mean
        if point.held_out:
            values["held-out rows", transition.score_name] = point.held_out
        for (dataset, metric), own in values.items():
            yield dict(
                zip(
                    CSV_COLUMNS,
                    [
                        point.task,
                        point.kind,
                        point.heads,
                        point.ffns,
                        round(point.remaining, 6),
                        dataset,
                        metric,
                        digits(mean(own)),
                        digits(spread(own)),
                        len(own),
                        *(compared if (dataset, metric) == score else [""] * 6),
                        round(point.seconds, 2),
                        " ".join(str(folder) for folder, _ in point.runs.values()),
                    ],
                )
            )
