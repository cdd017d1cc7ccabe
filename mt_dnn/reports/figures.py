"""The figures of the report, each a matplotlib Figure."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mt_dnn.reports.choice import DEV, HELD_OUT, boundary, super_ticket
from mt_dnn.reports.comparison import mean, spread
from mt_dnn.reports.overlap import Tickets, survivors
from mt_dnn.reports.points import Transition, criteria_of
from mt_dnn.reports.wording import size_in_words
from mt_dnn.tickets.ticket import TICKET_KINDS, Scores

matplotlib.rcdefaults()  # the same runs give the same figures, whatever settings the reader has
matplotlib.rcParams["text.parse_math"] = False  # a $ in a task's name is no formula

COLOURS = {"dense": "#555555", "winning": "#1b7f5c", "random": "#d08a1d", "losing": "#b33a3a"}
OTHER_COLOURS = ["#3b6fb6", "#8a4fa8", "#c2569a", "#4fa3a5", "#8c6d31", "#a3a32e"]  # of kinds that have none above
LINES, MARKERS = ["-", "--", "-.", ":"], ["o", "s", "^", "D", "v"]  # of criteria, the main one first; 20 pairs
Style = tuple[str, str, str]  # colour, line, marker
PANELS_PER_ROW = 3  # panels side by side


def as_svg(figure: Figure) -> bytes:
    """Return a figure as SVG, the same bytes every time."""
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _numbered_ids(file.getvalue().decode()).encode()


def _numbered_ids(svg: str) -> str:
    """Number the ids of an SVG. Matplotlib's are hashes of coordinates, whose last digits differ from call to call."""
    name = r"[A-Za-z_0-9]*[0-9a-f]{10}"
    numbers = {found: str(at) for at, found in enumerate(dict.fromkeys(re.findall(rf'id="({name})"', svg)))}
    return re.sub(rf'(id="|#)({name})(?=["\)])', lambda found: f"{found[1]}id{numbers[found[2]]}", svg)


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG, the same bytes every time."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=140, metadata={"Software": None})
    return file.getvalue()


def styles(transitions: Sequence[Transition]) -> dict[str, Style]:
    """Return {name of a line: Style}: the kind has a colour, the criterion a line and a marker.

    A kind without a colour of its own gets the next of OTHER_COLOURS; criteria take LINES and MARKERS in their order.
    """
    points = [point for transition in transitions for point in transition.own]
    others = cycle(OTHER_COLOURS)
    colours = {kind: COLOURS.get(kind) or next(others) for kind in dict.fromkeys(point.kind for point in points)}
    lines = {None: (LINES[0], MARKERS[0]), **dict(zip(criteria_of(transitions), zip(cycle(LINES), cycle(MARKERS))))}
    return {point.name: (colours[point.kind], *lines[point.criterion]) for point in points}


def phase_transitions(transitions: Sequence[Transition]) -> Figure:
    """The score against remaining weights, a panel per task."""
    columns = min(PANELS_PER_ROW, len(transitions))
    rows = math.ceil(len(transitions) / columns)
    figure = Figure(figsize=(max(6.4, 4.8 * columns), 3.8 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    style_of = styles(transitions)
    for transition in transitions:
        _draw(next(axes), transition, style_of)
    for axis in axes:
        axis.set_axis_off()
    held_out = any(point.held_out for transition in transitions for point in transition.points)
    wide = len(style_of) > len(TICKET_KINDS) + 1 or held_out  # names of criteria, and of two super tickets, are long
    _legend(figure, "outside lower center", columns=2 if columns == 1 and wide else 4)
    return figure


def phase_transition(transition: Transition) -> Figure:
    """One task's panel alone."""
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    _draw(figure.subplots(), transition, styles([transition]))
    _legend(figure, "outside right center", columns=1)
    return figure


def _draw(axis: Axes, transition: Transition, style_of: Mapping[str, Style]) -> None:
    """Draw a line per kind of its own tickets and criterion, with bars for the standard deviation over seeds.

    The dense model is dashed, the baseline dotted (or a number, where it is far below), the super tickets are ringed.
    """
    for name, line in transition.lines.items():
        if name not in style_of:  # tickets of another task
            continue
        colour, dashes, marker = style_of[name]
        means, spreads = [mean(point.scores) for point in line], [spread(point.scores) or 0 for point in line]
        if line[0].kind == "dense":
            axis.axhline(means[0], color=colour, linestyle="--", linewidth=1.2, label="dense model")
            axis.axhspan(means[0] - spreads[0], means[0] + spreads[0], color=colour, alpha=0.12, linewidth=0)
        else:
            axis.errorbar(
                [100 * point.remaining for point in line],
                means,
                spreads if any(spreads) else None,
                color=colour,
                linestyle=dashes,
                marker=marker,
                markersize=4,
                capsize=2,
                linewidth=1.4,
                label=name,
            )
    for protocol, marker, size in ((DEV, "o", 11), (HELD_OUT, "s", 14)):
        if point := super_ticket(transition, protocol):
            axis.plot(
                100 * point.remaining,
                mean(point.scores),
                marker,
                markersize=size,
                fillstyle="none",
                color="black",
                markeredgewidth=0.9,
                label=f"super ticket, on {protocol.on}",
            )
    if baseline := transition.baseline:
        low, high = axis.get_ylim()
        if baseline.score > low - (high - low):
            axis.axhline(baseline.score, color="#555555", linestyle=":", linewidth=1, label="baseline")
        else:  # a line so far below would squeeze the others
            axis.annotate(f"baseline: {baseline.score:.1f}", (0.02, 0.03), xycoords="axes fraction", fontsize=8)
    if transition.dense and (sparsest := boundary(transition)[0]):
        axis.axvline(
            100 * sparsest.remaining,
            color="black",
            linestyle="-.",
            linewidth=0.9,
            label="phase boundary",
        )
    axis.invert_xaxis()
    axis.set(title=transition.title, xlabel="remaining weights (%)", ylabel=f"dev {transition.score_name} (points)")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _legend(figure: Figure, place: Literal["outside lower center", "outside right center"], columns: int) -> None:
    """One legend for all panels; its rows are as high as the largest markers."""
    handles = {label: handle for axis in figure.axes for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(
        handles.values(), handles.keys(), loc=place, ncols=columns, frameon=False, fontsize=8, labelspacing=1.0
    )


def layers_that_survive(tickets: Tickets, task: str) -> Figure:
    """Open heads and FFNs of a task's winning tickets, by layer and size; means over seeds."""
    sizes, heads, ffns = survivors(tickets, task)
    figure = Figure(figsize=(2.4 + 0.9 * len(sizes), 1.2 + 0.22 * tickets.layers), layout="constrained")
    axes = figure.subplots(1, 2)
    for axis, counts, most, name in ((axes[0], heads, tickets.heads, "open heads"), (axes[1], ffns, 1, "open FFNs")):
        axis.imshow(counts, cmap="Greens", vmin=0, vmax=1.7 * most, aspect="auto", origin="lower")
        for layer, size in np.ndindex(counts.shape):
            axis.text(
                size, layer, f"{counts[layer, size]:.1f}".removesuffix(".0"), ha="center", va="center", fontsize=6.5
            )
        axis.set_xticks(range(len(sizes)), list(map(size_in_words, sizes)), fontsize=6.5)
        axis.set_yticks(range(tickets.layers), map(str, range(tickets.layers)), fontsize=6.5)
        axis.set_title(f"{task}: {name}", fontsize=9)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
    axes[0].set_ylabel("layer", fontsize=8)
    figure.supxlabel("heads + FFNs closed", fontsize=8)
    return figure


def importance_maps(importances: Mapping[tuple[str, int], Scores]) -> Figure:
    """Heat maps of {(task, seed): Scores} side by side.

    There is a row per task and a column per seed, or the tasks one after another where there is one seed. The column
    beside the heads is the FFNs', divided by the largest of them. Scores below zero are as dark as zero.
    """
    tasks, seeds = (list(dict.fromkeys(key[at] for key in importances)) for at in (0, 1))
    if len(seeds) > 1:
        rows, columns = len(tasks), len(seeds)
        places = {(task, seed): (tasks.index(task), seeds.index(seed)) for task, seed in importances}
    else:
        rows, columns = math.ceil(len(tasks) / 4), min(len(tasks), 4)
        places = {key: divmod(at, 4) for at, key in enumerate(importances)}
    layers, heads = next(iter(importances.values()))[0].shape
    figure = Figure(
        figsize=((0.6 + 0.15 * (heads + 2)) * columns + 0.4, (0.5 + 0.15 * layers) * rows + 0.3), layout="constrained"
    )
    grid = figure.add_gridspec(rows, 2 * columns, width_ratios=[heads, 1.2] * columns)
    for (task, seed), (head_scores, ffn_scores) in importances.items():
        row, column = places[task, seed]
        axes = [figure.add_subplot(grid[row, 2 * column + at]) for at in (0, 1)]
        maps = (head_scores, ffn_scores[:, None] / max(ffn_scores.max(), np.finfo(float).tiny))
        for axis, scores, largest in zip(axes, maps, (None, 1)):
            axis.imshow(scores, cmap="viridis", aspect="auto", origin="lower", vmin=0, vmax=largest)
            axis.set(xticks=[], yticks=[])
        axes[0].set_title(f"{task}, seed {seed}", fontsize=7)
        axes[0].set(yticks=[0, len(head_scores) - 1])
        axes[0].tick_params(labelsize=6, length=2)
    figure.supylabel("layer", fontsize=8)
    return figure
