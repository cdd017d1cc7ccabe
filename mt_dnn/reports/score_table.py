"""The table of a multi-task benchmark: a row per model, a column per task, and the averages."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from data_utils.markdown import markdown_table
from mt_dnn.reports.wording import mean_std

SHORT = {"accuracy": "Acc", "f1": "F1", "matthews": "Mcc", "pearson": "P", "spearman": "S"}

AVERAGE = "Avg Score"

Result = dict[str, Any]  # what result.json holds


def score_table(results_by_row: Mapping[str, Sequence[Result]]) -> str:
    """Return the table in Markdown, in points, from {row name: [result.json of one seed, ...]}.

    Every result has the same tasks. A cell has the mean over seeds of each dev set and metric. "Avg Score" is
    metrics.average_score; "Avg Weights" the mean over tasks of the weights that remain, see ticket.remaining_weights.
    """
    headings, rows = score_cells(results_by_row)
    return markdown_table(["Model", *headings], [[name, *cells] for name, cells in rows.items()])


def score_cells(results_by_row: Mapping[str, Sequence[Result]]) -> tuple[list[str], dict[str, list[str]]]:
    """Return (headings, {row name: cells}) of the table, without the column of row names."""
    first = next(iter(results_by_row.values()))[0]
    columns = {
        task: [(name, metric) for name in entry["dev_sets"] for metric in first["dev"][name]]
        for task, entry in first["tasks"].items()
    }
    headings = [_heading(task, first["tasks"][task]["dev_sets"], cells) for task, cells in columns.items()]
    rows = {}
    for name, results in results_by_row.items():
        tasks = [show_cell([_mean(results, *cell) for cell in cells]) for cells in columns.values()]
        scores = {result["seed"]: 100 * result["average_score"] for result in results}
        entries = [entry for result in results for entry in result["tasks"].values()]
        weights = statistics.mean(entry["remaining_weights"]["by_formula"] for entry in entries)
        rows[name] = [*tasks, mean_std(scores), f"{100 * weights:.1f} %"]
    return [*headings, AVERAGE, "Avg Weights"], rows


def show_cell(values: Sequence[float]) -> str:
    """The metrics of a task, given in points."""
    return "/".join(f"{value:.1f}" for value in values)


def _mean(results: Sequence[Result], dev_set: str, metric: str) -> float:
    return 100 * statistics.mean(result["dev"][dev_set][metric] for result in results)


def _heading(task: str, dev_sets: Mapping[str, int], cells: Sequence[tuple[str, str]]) -> str:
    """ "mnli-matched/mismatched (Acc)", "mrpc (Acc/F1)"."""
    variants = "/".join(name.removeprefix(task).lstrip("_") for name in dev_sets)
    metrics = "/".join(dict.fromkeys(SHORT.get(metric, metric) for _, metric in cells))
    return f"{task}-{variants} ({metrics})" if variants else f"{task} ({metrics})"
