"""The phase transition: a table (Markdown, CSV) and a figure of all finished runs below some folders, and the super tickets."""

import csv
import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the repository, wherever this script is called from

from data_utils.files import UserError, open_door, write_whole
from mt_dnn.config import Parser
from mt_dnn.results import read_results, refuse_difference

COLOURS = {"dense": "#555555", "winning": "#1b7f5c", "random": "#d08a1d", "losing": "#b33a3a"}


def main():
    parser = Parser(description=__doc__)
    parser.add_argument("folders", metavar="DIR", nargs="+", help="folders of train.py and rewind.py, searched through for result.json")
    parser.add_argument("--output_dir", help="folder for report.md, report.csv and report.png (default: the first DIR)")
    options = parser.parse_args()

    points = gather(options.folders)
    output = Path(options.output_dir or options.folders[0])
    with write_whole(output / "report.csv") as file:
        table = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(line for point in points for line in csv_lines(point))
    with write_whole(output / "report.md") as file:
        file.write(markdown(points))
    draw(output / "report.png", points)
    print("\n".join(findings(points)))
    print(f"table:  {output / 'report.md'}, report.csv\nfigure: {output / 'report.png'}")
    if lines := super_tickets(points):
        with write_whole(output / "super_tickets.yml") as file:
            file.write("\n".join(SUPER_TICKETS_HEAD + lines) + "\n")
        print(f"super tickets: {output / 'super_tickets.yml'}")


@dataclass
class Point:
    """A ticket on a dev set. `values`: {metric: one value per seed}; `seconds`, `folders`: one per seed."""

    task: str
    dataset: str
    kind: str
    heads: int
    ffns: int
    remaining: float
    dev_rows: int
    values: dict
    seconds: list
    folders: list

    @property
    def metric(self):
        """The metric that figures show: the first of the task entry."""
        return next(iter(self.values))

    def mean(self, metric=None):
        """Mean over seeds, in points (0 to 100)."""
        return 100 * statistics.mean(self.values[metric or self.metric])

    def spread(self, metric=None):
        """Standard deviation over seeds, in points; 0 with one seed."""
        values = self.values[metric or self.metric]
        return 100 * statistics.stdev(values) if len(values) > 1 else 0.0

    def show(self, metric=None):
        spread = f" ± {self.spread(metric):.1f}" if len(self.folders) > 1 else ""
        return f"{self.mean(metric):.1f}{spread}"


def gather(folders):
    """Read every result.json below `folders`; return [Point], by dev set, kind and remaining weights.

    The same ticket and seed found twice (the dense model, fine-tuned by train.py and rewound with an
    empty ticket) counts once.

    Raises UserError where there is nothing to report, where runs of one task were trained with different
    options, and where one point has different tickets: a table would show them as if they were alike.
    """
    results, first = {}, {}
    for folder, result, options in read_results(folders):
        if len(result["tasks"]) > 1:
            raise UserError(f"{folder}: a run of {len(result['tasks'])} tasks, expected runs of one; experiments/multi_task/report.py shows this one")
        (task, entry), = result["tasks"].items()
        key = (task, list(COLOURS).index(result["kind"]), -entry["remaining_weights"]["by_formula"], entry["heads_closed"], entry["ffns_closed"], result["seed"])
        other, others = results.setdefault(key, (folder, options, result))[:2]
        refuse_difference(other, others, folder, options, ["tickets"])
        other, others = first.setdefault(task, (folder, options))
        refuse_difference(other, others, folder, options)
    points = {}
    for key, (folder, _, result) in sorted(results.items(), key=lambda item: item[0]):
        entry = result["tasks"][key[0]]
        for dataset, values in result["dev"].items():
            point = points.setdefault((dataset, *key[1:-1]), Point(
                key[0], dataset, result["kind"], entry["heads_closed"], entry["ffns_closed"], entry["remaining_weights"]["by_formula"],
                entry["dev_sets"][dataset], {metric: [] for metric in values}, [], []))
            for metric, value in values.items():
                point.values[metric].append(value)
            point.seconds.append(result["seconds_per_epoch"])
            point.folders.append(folder)
    return [points[key] for key in sorted(points)]


def by_dataset(points):
    """{dev set: its points}, in order."""
    return {name: [point for point in points if point.dataset == name] for name in dict.fromkeys(point.dataset for point in points)}


CSV_COLUMNS = ["dataset", "ticket", "heads_closed", "ffns_closed", "remaining_weights", "metric", "mean", "std", "seeds", "dev_rows", "seconds_per_epoch", "folders"]


def csv_lines(point):
    """A row per metric; metrics from -1 to 1."""
    for metric in point.values:
        yield dict(zip(CSV_COLUMNS, [
            point.dataset, point.kind, point.heads, point.ffns, round(point.remaining, 6), metric, round(point.mean(metric) / 100, 6),
            round(point.spread(metric) / 100, 6) if len(point.folders) > 1 else "", len(point.folders), point.dev_rows,
            round(statistics.median(point.seconds), 2), " ".join(map(str, point.folders))]))


def markdown(points):
    """A table per dev set, metrics in points."""
    lines = ["# Phase transition", ""]
    for dataset, own in by_dataset(points).items():
        metrics = list(own[0].values)
        dense = next((point for point in own if point.kind == "dense"), None)
        lines += [f"## {dataset} ({own[0].dev_rows} dev rows)", "",
                  f"| ticket | heads closed | FFNs closed | weights | {' | '.join(metrics)} | to dense | seeds | s/epoch | folder |",
                  "|---|---|---|---|" + "---|" * len(metrics) + "---|---|---|---|"]
        for point in own:
            to_dense = f"{point.mean() - dense.mean():+.1f}" if dense and point is not dense else ""
            folder = point.folders[0] if len(point.folders) == 1 else point.folders[0].parent
            lines.append(f"| {point.kind} | {point.heads} | {point.ffns} | {100 * point.remaining:.1f} % | {' | '.join(map(point.show, metrics))} | {to_dense} | "
                         f"{len(point.folders)} | {statistics.median(point.seconds):.1f} | {folder} |")
        lines += ["", f"`to dense`: difference of the mean {metrics[0]} to the dense model, in points.", ""]
    return "\n".join(lines)


def findings(points):
    """What the runs say, a few lines per dev set."""
    for dataset, own in by_dataset(points).items():
        dense = next((point for point in own if point.kind == "dense"), None)
        tickets = {kind: [point for point in own if point.kind == kind] for kind in COLOURS if kind != "dense"}
        head = f"{dataset} ({own[0].metric}, {own[0].dev_rows} dev rows)"
        yield f"{head}: dense {dense.show()}" if dense else head
        if tickets["winning"]:
            best = max(tickets["winning"], key=lambda point: (point.mean(), -point.remaining))
            yield f"  best winning ticket: {best.show()} with {100 * best.remaining:.1f} % of the weights ({best.heads} heads, {best.ffns} FFNs closed)"
        for level in sorted({(-point.remaining, point.heads, point.ffns) for kind in tickets.values() for point in kind}):
            same = [f"{kind} {point.show()}" for kind, found in tickets.items() for point in found if (-point.remaining, point.heads, point.ffns) == level]
            yield f"  at {-100 * level[0]:.1f} % of the weights: {', '.join(same)}"
        if max(len(point.folders) for point in own) == 1 and own[0].metric == "accuracy":
            share = own[0].mean() / 100
            yield f"  one seed; the sampling error of one accuracy on {own[0].dev_rows} rows is {100 * math.sqrt(share * (1 - share) / own[0].dev_rows):.1f} points"


SUPER_TICKETS_HEAD = ["# Heads and FFNs that the super ticket of each task closes: of the winning tickets and the dense model the one with the",
                      "# best mean score on dev (mean over dev sets and metrics), the sparser one of equals. For construct_mtl_mask.py --super_tickets."]


def super_tickets(points):
    """Return a line of YAML per task that has winning tickets."""
    lines = []
    for task in dict.fromkeys(point.task for point in points if point.kind == "winning"):
        tickets = {}
        for point in points:
            if point.task == task and point.kind in ("winning", "dense"):
                tickets.setdefault((point.heads, point.ffns, -point.remaining), []).append(point)
        scores = {key: statistics.mean(statistics.mean(map(point.mean, point.values)) for point in own) for key, own in tickets.items()}
        heads, ffns, remaining = best = max(scores, key=lambda key: (scores[key], key[2]))
        lines.append(f"{task}: {{heads: {heads}, ffns: {ffns}}}   # {scores[best]:.1f} with {-100 * remaining:.1f} % of the weights, best of {len(scores)} over {len(tickets[best][0].folders)} seeds")
    return lines


def draw(path, points):
    """Metric against remaining weights, a panel per dev set; bars are the standard deviation over seeds."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = by_dataset(points)
    figure, axes = pyplot.subplots(1, len(panels), figsize=(4.8 * len(panels), 3.8), squeeze=False, layout="constrained")
    for axis, (dataset, own) in zip(axes[0], panels.items()):
        for kind, colour in COLOURS.items():
            line = [point for point in own if point.kind == kind]
            if not line:
                continue
            means, spreads = [point.mean() for point in line], [point.spread() for point in line]
            if kind == "dense":
                axis.axhline(means[0], color=colour, linestyle="--", linewidth=1.2, label="dense model")
                axis.axhspan(means[0] - spreads[0], means[0] + spreads[0], color=colour, alpha=0.12, linewidth=0)
            else:
                axis.errorbar([100 * point.remaining for point in line], means, spreads if any(spreads) else None,
                              color=colour, marker="o", markersize=4, capsize=2, linewidth=1.4, label=kind)
        axis.invert_xaxis()
        axis.set(title=dataset, xlabel="remaining weights (%)", ylabel=f"dev {own[0].metric}")
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, fontsize=8)
    with write_whole(path, "wb") as file:
        figure.savefig(file, format="png", dpi=140)
    pyplot.close(figure)


if __name__ == "__main__":
    open_door(main)
