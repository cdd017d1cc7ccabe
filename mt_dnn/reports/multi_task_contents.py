"""What the page of the multi-task benchmark holds: the table, and whether tickets sharing is better."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mt_dnn.records.record import Failure
from mt_dnn.reports.baseline import baseline_of
from mt_dnn.reports.comparison import Comparison
from mt_dnn.reports.decisions import ON_HELD_OUT, comparison_columns
from mt_dnn.reports.failures import failure_blocks
from mt_dnn.reports.how_tested import MULTI_TASK
from mt_dnn.reports.page import Block, Bullets, Columns, Heading, Paragraph, Table, paragraphs, table_of
from mt_dnn.reports.pairing import OverTasks, compare_tasks, corrected_together
from mt_dnn.reports.rows import ModelRow
from mt_dnn.reports.score_table import AVERAGE, score_cells, show_cell
from mt_dnn.reports.sentences import held_out_in_words, repeat_lines, unlike_lines
from mt_dnn.reports.wording import comparison_in_words, difference_in_words, mean_std, size_in_words


@dataclass(frozen=True)
class RowComparison(OverTasks):
    """A `row` of the table compared with a `reference`, another row; `overall` compares their Avg Score."""

    row: ModelRow
    reference: ModelRow

    @property
    def sentence(self) -> str:
        outcome = f"{self.row.name} minus {self.reference.name}, {AVERAGE} {comparison_in_words(self.overall)}"
        outcome += held_out_in_words(self)
        if self.row.kind != "winning":
            return outcome
        if self.reference.kind == "dense":
            return f"H4, tickets sharing is above MT-DNN: {self.overall.verdict} ({outcome})"
        return f"control: {outcome}"


def compare_rows(rows: Sequence[ModelRow]) -> list[RowComparison]:
    """Compare every row with MT-DNN of its encoder, then winning tickets with the other kinds of the same mask.

    Those must close as many heads and FFNs, and be shared in the same way.
    """
    found = []
    for encoder in dict.fromkeys(row.encoder for row in rows):
        of_encoder = [row for row in rows if row.encoder == encoder]
        for dense in (row for row in of_encoder if row.kind == "dense"):
            found += _family([(row, dense) for row in of_encoder if row is not dense])
        for winning in (row for row in of_encoder if row.kind == "winning"):
            others = [row for row in of_encoder if row.kind not in ("dense", "winning") and row.is_control_of(winning)]
            found += _family([(winning, other) for other in others])
    return found


def _family(pairs: Sequence[tuple[ModelRow, ModelRow]]) -> list[RowComparison]:
    """Compare each (row, reference), corrected for all of them together."""
    return corrected_together([_compare(row, reference) for row, reference in pairs])


def _compare(row: ModelRow, reference: ModelRow) -> RowComparison:
    pairs = {task: (row.scores_of(task), reference.scores_of(task)) for task in row.tasks}
    held_out = {task: (row.held_out_of(task), reference.held_out_of(task)) for task in row.tasks}
    both_have = all(scores for pair in held_out.values() for scores in pair)
    return RowComparison(**vars(compare_tasks(pairs, held_out if both_have else {})), row=row, reference=reference)


def benchmark_table(rows: Sequence[ModelRow]) -> Table:
    """The table of the paper: a row per model; its first row is the baseline, where the predictions are there."""
    headings, cells = score_cells({row.name: row.results for row in rows})
    columns = ["Model", *headings, "Seeds"]
    lines = [[row.name, *cells[row.name], str(len(row.runs))] for row in rows]
    if baseline := _baseline(rows):
        lines.insert(0, [*baseline, ""])
    if all(len(row.runs) == 1 for row in rows):
        columns, lines = columns[:-1], [line[:-1] for line in lines]
    return Table(columns, lines)


def _baseline(rows: Sequence[ModelRow]) -> list[str]:
    """What the most frequent label, or the mean, gives; [] where a dev set's predictions are gone."""
    for record in (run for row in rows for run in row.runs.values()):
        found = [baseline for task in record.tasks if (baseline := baseline_of([record], task))]
        if len(found) == len(record.tasks):
            cells = [show_cell([*baseline.values.values()]) for baseline in found]
            score = statistics.mean(baseline.score for baseline in found)
            return ["Most frequent label, or mean", *cells, f"{score:.1f}", ""]
    return []


def sentences(compared: Sequence[RowComparison]) -> Iterator[str]:
    """What came out, a line for each comparison."""
    if not compared:
        yield "no MT-DNN, or nothing beside it: nothing to compare"
    for comparison in compared:
        yield comparison.sentence


def blocks(rows: Sequence[ModelRow], compared: Sequence[RowComparison], failed: Sequence[Failure]) -> list[Block]:
    """Return the blocks of the page; `failed`: see read_failures."""
    page: list[Block] = [
        Heading("Multi-task benchmark", 1),
        Paragraph(
            "Dev scores in points (100 times the metric), means over seeds ± their standard deviation. With MT-DNN "
            "every task trains the whole encoder; with Tickets-Share each task trains its ticket in it. Avg Weights is "
            "the mean over tasks of the weights that a task uses. The encoder that they share has more."
        ),
        benchmark_table(rows),
        Bullets(list(sentences(compared))),
    ]
    page += map(Paragraph, [*unlike_lines(run for row in rows for run in row.runs.values()), *repeat_lines(rows)])
    page += [Heading("Tickets and rows"), table_of(TICKETS, [(row, task) for row in rows for task in row.tasks])]
    page.append(Heading("Differences"))
    lines = [(comparison, task) for comparison in compared for task in (None, *comparison.row.tasks)]
    if lines:
        held_out: Columns = {ON_HELD_OUT: lambda line: difference_in_words(_on_held_out(line))}
        any_held_out = any(comparison.held_out for comparison in compared)
        page.append(table_of(DIFFERENCES | held_out if any_held_out else DIFFERENCES, lines))
    page += [Heading("Tests and their correction", 3), *paragraphs(MULTI_TASK), Heading("All runs")]
    page += failure_blocks(failed)
    page.append(table_of(RUNS, [(row, seed) for row in rows for seed in row.runs]))
    return page


def _comparison(line: tuple[RowComparison, str | None]) -> Comparison:
    comparison, task = line
    return comparison.overall if task is None else comparison.by_task[task]


def _on_held_out(line: tuple[RowComparison, str | None]) -> Comparison | None:
    comparison, task = line
    return comparison.held_out if task is None else comparison.held_out_by_task.get(task)


def _entry(line: tuple[ModelRow, str]) -> dict[str, Any]:
    """What the result of any run of a row says of a task: in all of them it is the same."""
    row, task = line
    return row.any_run.result["tasks"][task]


DIFFERENCES: Columns = {
    "model": lambda line: line[0].row.name,
    "to": lambda line: line[0].reference.name,
    "task": lambda line: line[1] or AVERAGE,
    "score": lambda line: mean_std(line[0].row.scores_of(line[1]) if line[1] else line[0].row.scores),
    **comparison_columns(_comparison),
    "average without the task [95 %]": lambda line: difference_in_words(line[0].without.get(line[1])),
}

TICKETS: Columns = {
    "model": lambda line: line[0].name,
    "task": lambda line: line[1],
    "heads + FFNs closed": lambda line: size_in_words(line[0].any_run.ticket(line[1]).counts),
    "weights that it uses": lambda line: f"{100 * _entry(line)['remaining_weights']['by_formula']:.1f} %",
    "training rows": lambda line: str(_entry(line).get("training_rows", "")),
    "dev rows": lambda line: str(sum(_entry(line)["dev_sets"].values())),
}

RUNS: Columns = {
    "model": lambda run: run[0].name,
    "seed": lambda run: run[1],
    AVERAGE: lambda run: f"{run[0].scores[run[1]]:.2f}",
    "folder": lambda run: run[0].runs[run[1]].name,
}
