"""What the report holds: the blocks of its page, and the lines of its CSV file."""

import figures
from choice import DEV, HELD_OUT, boundary, super_ticket
from findings import about, difference, findings, p_value
from overlap import overlaps, read_importances, read_tickets
from page import Bullets, Heading, Paragraph, Picture, Table
from points import failed_runs, mean, show, spread

FIGURE = "report.png"  # the phase transition of all tasks
BARS = "Bars and the band of the dense model: standard deviation over seeds, where there are several."
TEST = ("Numbers are means over seeds ± their standard deviation, in points: 100 times the metric. \"To dense\" is the mean difference to the dense model "
        "over the seeds that both have, with its 95 % confidence interval. p is that of the paired t-test over seeds (two-sided: is the mean difference zero?), "
        "corrected by Holm's method for the number of sparsities of one kind of ticket on one task; the intervals are not corrected. "
        "Test and intervals cover what varies with the seed, not which rows happen to be in dev. With fewer than two shared seeds, or the same difference with every seed, there is no test.")


def blocks(transitions, folders):
    """Return the blocks of the page."""
    return [Heading("Phase transition", 1), *_overview(transitions), *(block for transition in transitions for block in _task(transition, FIGURE if len(transitions) == 1 else "")),
            *_tickets(transitions, folders), *_runs(transitions, folders)]


def _overview(transitions):
    encoders = dict.fromkeys(result["model"]["name"] for transition in transitions for point in transition.points for _, result in point.runs.values())
    runs = sum(len(point.runs) for transition in transitions for point in transition.points)
    rows = []
    for transition in transitions:
        winning = transition.of_kind("winning")
        sparsest = boundary(transition)[0] if transition.dense and winning else None
        chosen, unbiased = super_ticket(transition, DEV), super_ticket(transition, HELD_OUT)
        rows.append([transition.task, transition.score_name, show(transition.dense.scores) if transition.dense else "",
                     show(max(winning, key=lambda point: mean(point.scores)).scores) if winning else "",
                     _level(sparsest), *(cell for point in (chosen, unbiased) for cell in (_level(point), show(point.scores) if point else ""))])
    yield Paragraph(f"{runs} runs of {', '.join(encoders)} on {len(transitions)} task{'s' * (len(transitions) > 1)}. "
                    "Each task's winning, random and losing tickets, rewound to the pre-trained weights and trained again, against the dense model.")
    yield Table(["task", "score", "dense model", "best winning ticket", "sparsest winning ticket not below dense", "super ticket, chosen on dev", "its dev score",
                 f"super ticket, chosen on {HELD_OUT.on}", "its dev score"], rows,
                "Tickets by their remaining weights, and the heads + FFNs that they close. The dev score of a super ticket is biased upwards where it was chosen "
                "on dev, as the best of several, and unbiased where it was chosen on held-out rows.")
    if len(transitions) > 1:
        yield Picture(figures.as_svg(figures.phase_transitions(transitions)), f"All tasks: score on dev against remaining weights. {BARS}", FIGURE)
    yield Heading("How to read the numbers", 3)
    yield Paragraph(TEST)


def _level(point):
    return f"{100 * point.remaining:.1f} % ({point.heads} + {point.ffns})" if point else ""


def _task(transition, file):
    yield Heading(transition.task)
    yield Paragraph(f"Measured: {about(transition)}.")
    yield Bullets(list(findings(transition)))
    yield Picture(figures.as_svg(figures.phase_transition(transition)), f"{transition.task}: {transition.score} on dev against remaining weights. {BARS}", file)
    several = len(transition.dev_rows) > 1
    held_out = any(point.held_out for point in transition.points)
    rows = []
    for point in transition.points:
        comparison = transition.to_dense.get(point)
        rows.append([point.kind, str(point.heads), str(point.ffns), f"{100 * point.remaining:.1f} %",
                     *(show(point.values(*metric)) for metric in transition.metrics),
                     *([show(point.scores)] if len(transition.metrics) > 1 else []),
                     *([show(point.held_out) if point.held_out else ""] if held_out else []),
                     difference(comparison) if comparison else "", (p_value(comparison.corrected) or comparison.why) if comparison else "",
                     str(len(point.runs)) + (f", {comparison.seeds} shared" if comparison and comparison.seeds < len(point.runs) else ""), f"{point.seconds:.1f}", point.folder])
    yield Table(["ticket", "heads closed", "FFNs closed", "weights", *(f"{dev_set} {metric}" if several else metric for dev_set, metric in transition.metrics),
                 *(["score"] if len(transition.metrics) > 1 else []), *([f"held-out {transition.score_name}"] if held_out else []),
                 "to dense [95 %]", "p (Holm)", "seeds", "s/epoch", "folder"], rows)


def _tickets(transitions, folders):
    yield Heading("What the tickets are")
    found = read_tickets(folders, {(point.heads, point.ffns) for transition in transitions for point in transition.of_kind("winning")})
    importances = read_importances(folders)
    if not found:
        yield Paragraph("No winning masks of single tasks (masks/winning) below the given folders, so nothing about what they close.")
    for tickets in found:
        overlapping = {unit: overlaps(tickets, unit) for unit in ("heads", "ffns")}
        if not overlapping["heads"]:
            yield Paragraph(f"Masks of one task and one seed for {tickets.encoder}: no two tickets whose overlap could be shown.")
        for (unit, rows), name in zip(overlapping.items(), ("heads", "FFNs")):
            if levels := [level for level in tickets.levels if any(level in own for own in rows.values())]:
                yield Heading(f"Overlap of closed {name}, winning tickets of {tickets.encoder}", 3)
                yield Table(["heads + FFNs closed", *(f"{n_heads} + {n_ffns}" for n_heads, n_ffns in levels)],
                            [[pair, *(f"{own[level]:.2f}" if level in own else "" for level in levels)] for pair, own in rows.items()],
                            f"Jaccard index: closed {name} that two tickets share, by those that either closes; means over all pairs of tickets. "
                            "Chance: what two independent, uniformly random choices of the same sizes are expected to have.")
        yield Picture(figures.as_svg(figures.layers_that_survive(tickets)), f"Heads and FFNs of each layer that winning tickets of {tickets.encoder} leave open, means over seeds.")
    if importances:
        yield Picture(figures.as_svg(figures.importance_maps(importances)), "Importance: heads across (L2-normalised within their layer), layers upwards; "
                      "the narrow column is the FFNs, by the largest of them. Bright is important.")
    else:
        yield Paragraph("No importance.json below the given folders, so no heat maps.")


def _runs(transitions, folders):
    if failed := failed_runs(folders):
        yield Heading("Runs that failed")
        yield Table(["folder", "why"], [[str(folder), line] for folder, line in failed])
    yield Heading("All runs")
    for transition in transitions:
        yield Heading(transition.task, 3)
        several = len(transition.dev_rows) > 1
        yield Table(["ticket", "heads closed", "FFNs closed", "seed", *(f"{dev_set} {metric}" if several else metric for dev_set, metric in transition.metrics), "folder"],
                    [[point.kind, str(point.heads), str(point.ffns), str(seed), *(f"{point.values(*metric)[seed]:.2f}" for metric in transition.metrics), str(folder)]
                     for point in transition.points for seed, (folder, _) in point.runs.items()])


CSV_COLUMNS = ["task", "ticket", "heads_closed", "ffns_closed", "remaining_weights", "dataset", "metric", "mean", "std", "seeds",
               "to_dense", "low", "high", "p", "p_holm", "paired_seeds", "seconds_per_epoch", "folders"]


def csv_lines(transition):
    """Yield a dictionary per point and metric, and for its score where that is not the only metric. Scores from -1 to 1; the comparison with
    the dense model stands beside the score."""
    def digits(value, scale=100):
        return "" if value is None else float(f"{value / scale:.6g}")
    for point in transition.points:
        comparison = transition.to_dense.get(point)
        compared = [digits(comparison.difference), digits(comparison.low), digits(comparison.high), digits(comparison.p, 1),
                    digits(comparison.corrected, 1), comparison.seeds] if comparison else [""] * 6
        values = {metric: point.values(*metric) for metric in transition.metrics}
        if len(values) > 1:
            values["", "score"] = point.scores
        *_, score = values  # the last one: the only metric, or their mean
        if point.held_out:
            values["held-out rows", transition.score_name] = point.held_out
        for (dataset, metric), own in values.items():
            yield dict(zip(CSV_COLUMNS, [
                point.task, point.kind, point.heads, point.ffns, round(point.remaining, 6), dataset, metric, digits(mean(own)), digits(spread(own)), len(own),
                *(compared if (dataset, metric) == score else [""] * 6), round(point.seconds, 2), " ".join(str(folder) for folder, _ in point.runs.values())]))
