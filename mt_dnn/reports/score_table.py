"""The table of a multi-task benchmark: a row per model, a column per task, and the averages."""

import statistics

SHORT = {"accuracy": "Acc", "f1": "F1", "matthews": "Mcc", "pearson": "P", "spearman": "S"}


def score_table(results_by_row):
    """Return a Markdown table, in points, from {row name: [result.json of one seed, ...]}; every result has the same tasks.

    A cell has the mean over seeds of each dev set and metric. "Avg Score" is metrics.average_score; "Avg Weights" the mean
    over tasks of the weights that remain (by the usual formula, see ticket.remaining_weights).
    """
    first = next(iter(results_by_row.values()))[0]
    columns = {
        task: [(name, metric) for name in entry["dev_sets"] for metric in first["dev"][name]]
        for task, entry in first["tasks"].items()
    }
    seeds = max(map(len, results_by_row.values())) > 1
    lines = [
        [
            "Model",
            *(_heading(task, first["tasks"][task]["dev_sets"], cells) for task, cells in columns.items()),
            "Avg Score",
            "Avg Weights",
            *["Seeds"] * seeds,
        ]
    ]
    for row, results in results_by_row.items():
        means = [
            "/".join(
                f"{100 * statistics.mean(result['dev'][name][metric] for result in results):.1f}"
                for name, metric in cells
            )
            for cells in columns.values()
        ]
        weights = statistics.mean(
            entry["remaining_weights"]["by_formula"] for result in results for entry in result["tasks"].values()
        )
        scores = [100 * result["average_score"] for result in results]
        spread = f" ± {statistics.stdev(scores):.1f}" if len(scores) > 1 else ""
        lines.append(
            [
                row,
                *means,
                f"{statistics.mean(scores):.1f}{spread}",
                f"{100 * weights:.1f} %",
                *[str(len(results))] * seeds,
            ]
        )
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _heading(task, dev_sets, cells):
    """ "mnli-matched/mismatched (Acc)", "mrpc (Acc/F1)"."""
    variants = "/".join(name.removeprefix(task).lstrip("_") for name in dev_sets)
    return f"{task}{'-' * bool(variants)}{variants} ({'/'.join(dict.fromkeys(SHORT[metric] for _, metric in cells))})"
