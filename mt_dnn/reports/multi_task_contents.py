"""What the page of the multi-task benchmark holds: the table, and whether tickets sharing is better."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mt_dnn.reports.baseline import baseline_of
from mt_dnn.reports.comparison import Comparison, compare, corrected
from mt_dnn.reports.failures import Failure, failure_blocks
from mt_dnn.reports.how_tested import MULTI_TASK
from mt_dnn.reports.page import Block, Bullets, Columns, Heading, Paragraph, Table, paragraphs, table_of
from mt_dnn.reports.points import mean_std
from mt_dnn.reports.rows import ModelRow
from mt_dnn.reports.score_table import score_cells, show_cell
from mt_dnn.reports.sentences import comparison_in_words, difference, held_out_in_words, p_or_why, precision_line

AVERAGE = "Avg Score"


@dataclass(frozen=True)
class RowComparison:
    """One row against another: `average` compares their Avg Score, `by_task` their score on each task.

    `without`: {task: the comparison of the average over all other tasks, not corrected}.
    `held_out` has both for the held-out training rows, under the same keys and "Avg Score"; {} where none are held out.
    """

    row: ModelRow
    reference: ModelRow
    average: Comparison
    by_task: dict[str, Comparison]
    without: dict[str, Comparison]
    held_out: dict[str, Comparison]

    @property
    def sentence(self) -> str:
        outcome = f"{self.row.name} minus {self.reference.name}, {AVERAGE} {comparison_in_words(self.average)}"
        if self.held_out:
            outcome += f"; {held_out_in_words(self.held_out[AVERAGE])}"
        if self.row.kind != "winning":
            return outcome
        if self.reference.kind == "dense":
            return f"H4, tickets sharing is above MT-DNN: {self.average.verdict} ({outcome})"
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
    averages = corrected({pair: compare(pair[0].scores, pair[1].scores) for pair in pairs})
    by_task = {
        (row, reference): corrected(
            {task: compare(row.scores_of([task]), reference.scores_of([task])) for task in row.tasks}
        )
        for row, reference in pairs
    }
    return [RowComparison(*pair, averages[pair], by_task[pair], _without(*pair), _held_out(*pair)) for pair in pairs]


def _without(row: ModelRow, reference: ModelRow) -> dict[str, Comparison]:
    """Compare the average over all tasks but one, for each of them."""
    others = {task: [other for other in row.tasks if other != task] for task in row.tasks}
    return {task: compare(row.scores_of(rest), reference.scores_of(rest)) for task, rest in others.items()}


def _held_out(row: ModelRow, reference: ModelRow) -> dict[str, Comparison]:
    """Compare on the held-out training rows: they decide nothing, so nothing is corrected."""
    of_tasks = {AVERAGE: row.tasks} | {task: [task] for task in row.tasks}
    if not (row.held_out_of(row.tasks) and reference.held_out_of(row.tasks)):
        return {}
    return {name: compare(row.held_out_of(tasks), reference.held_out_of(tasks)) for name, tasks in of_tasks.items()}


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
        found = {task: baseline_of([record], task) for task in record.tasks}
        scores = [baseline.score for baseline in found.values() if baseline]
        if len(scores) == len(found):
            cells = [show_cell(list(baseline.values.values())) for baseline in found.values() if baseline]
            return ["Most frequent label, or mean", *cells, f"{statistics.mean(scores):.1f}", ""]
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
        benchmark_table(rows),
        Bullets(list(sentences(compared))),
    ]
    if mixed := precision_line(run for row in rows for run in row.runs.values()):
        page.append(Paragraph(mixed))
    page.append(Heading("Differences"))
    lines = [(comparison, task) for comparison in compared for task in (None, *comparison.row.tasks)]
    if lines:
        held_out = HELD_OUT if any(comparison.held_out for comparison in compared) else {}
        page.append(table_of(DIFFERENCES | held_out, lines))
    page += [Heading("Tests and their correction", 3), *paragraphs(MULTI_TASK), Heading("All runs")]
    page += failure_blocks(failed)
    page.append(table_of(RUNS, [(row, seed) for row in rows for seed in row.runs]))
    return page


def _of(line: tuple[RowComparison, str | None]) -> Comparison:
    comparison, task = line
    return comparison.average if task is None else comparison.by_task[task]


DIFFERENCES: Columns = {
    "model": lambda line: line[0].row.name,
    "to": lambda line: line[0].reference.name,
    "task": lambda line: line[1] or AVERAGE,
    "score": lambda line: mean_std(line[0].row.scores_of([line[1]]) if line[1] else line[0].row.scores),
    "difference [95 %]": lambda line: difference(_of(line)),
    "p (Holm)": lambda line: p_or_why(_of(line)),
    "seeds": lambda line: _of(line).seeds,
    "average without the task [95 %]": lambda line: difference(line[0].without[line[1]]) if line[1] else "",
}

HELD_OUT: Columns = {
    "on held-out rows [95 %]": lambda line: (
        difference(line[0].held_out[line[1] or AVERAGE]) if line[0].held_out else ""
    ),
}

RUNS: Columns = {
    "model": lambda run: run[0].name,
    "seed": lambda run: run[1],
    AVERAGE: lambda run: f"{run[0].scores[run[1]]:.2f}",
    "folder": lambda run: run[0].runs[run[1]].name,
}
