"""What the page of the multi-task benchmark holds: the table, and whether tickets sharing is better."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mt_dnn.reports.baseline import baseline_of
from mt_dnn.reports.comparison import Comparison, compare, corrected
from mt_dnn.reports.contents import Failure, failure_blocks
from mt_dnn.reports.page import Block, Bullets, Columns, Heading, Paragraph, Table, paragraphs, table_of
from mt_dnn.reports.points import mean_std
from mt_dnn.reports.rows import ModelRow
from mt_dnn.reports.score_table import score_cells, show_cell
from mt_dnn.reports.sentences import comparison_in_words, difference, p_or_why, precision_line

HOW_TESTED = """
Every test is a paired t-test over seeds, two-sided: is the mean of the differences zero? With fewer than two shared
seeds, or the same difference with every seed, there is no test. Tests and intervals cover what varies with the seed,
not which rows happen to be in dev. Intervals are 95 % and not corrected; p-values are corrected by Holm's method, in
which a comparison without a test counts as p = 1.

The Avg Score against that of MT-DNN is corrected for all rows of the encoder. It decides on H4, which is confirmed if
the corrected p is below 0.05 and the difference above zero, refuted if p is below 0.05 and the difference below zero,
and else not distinguishable from noise. The scores of single tasks are corrected for the tasks of a row. The control
compares winning tickets with the others of the same mask in the same way.
"""


@dataclass(frozen=True)
class RowComparison:
    """One row against another: `average` compares their Avg Score, `by_task` their score on each task."""

    row: ModelRow
    reference: ModelRow
    average: Comparison
    by_task: dict[str, Comparison]

    @property
    def sentence(self) -> str:
        outcome = f"{self.row.name} minus {self.reference.name}, Avg Score {comparison_in_words(self.average)}"
        if self.row.kind != "winning":
            return outcome
        if self.reference.kind == "dense":
            return f"H4, tickets sharing is above MT-DNN: {self.average.verdict} ({outcome})"
        return f"control: {outcome}"


def compare_rows(rows: Sequence[ModelRow]) -> list[RowComparison]:
    """Compare every row with MT-DNN of its encoder, then winning tickets with the other ones of the same mask."""
    found = []
    for encoder in dict.fromkeys(row.encoder for row in rows):
        of_encoder = [row for row in rows if row.encoder == encoder]
        for dense in (row for row in of_encoder if row.kind == "dense"):
            found += _family([(row, dense) for row in of_encoder if row is not dense])
        for winning in (row for row in of_encoder if row.kind == "winning"):
            others = [row for row in of_encoder if row.kind not in ("dense", "winning") and row.mask == winning.mask]
            found += _family([(winning, other) for other in others])
    return found


def _family(pairs: Sequence[tuple[ModelRow, ModelRow]]) -> list[RowComparison]:
    """Compare each (row, reference), corrected for all of them together."""
    averages = corrected({pair: compare(pair[0].scores, pair[1].scores) for pair in pairs})
    by_task = {
        (row, reference): corrected(
            {task: compare(row.scores_of(task), reference.scores_of(task)) for task in row.tasks}
        )
        for row, reference in pairs
    }
    return [RowComparison(*pair, averages[pair], by_task[pair]) for pair in pairs]


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
        page.append(table_of(DIFFERENCES, lines))
    page += [Heading("Tests and their correction", 3), *paragraphs(HOW_TESTED), Heading("All runs")]
    page += failure_blocks(failed)
    page.append(table_of(RUNS, [(row, seed) for row in rows for seed in row.runs]))
    return page


def _of(line: tuple[RowComparison, str | None]) -> Comparison:
    comparison, task = line
    return comparison.average if task is None else comparison.by_task[task]


DIFFERENCES: Columns = {
    "model": lambda line: line[0].row.name,
    "to": lambda line: line[0].reference.name,
    "task": lambda line: line[1] or "Avg Score",
    "score": lambda line: mean_std(line[0].row.scores_of(line[1]) if line[1] else line[0].row.scores),
    "difference [95 %]": lambda line: difference(_of(line)),
    "p (Holm)": lambda line: p_or_why(_of(line)),
    "seeds": lambda line: _of(line).seeds,
}

RUNS: Columns = {
    "model": lambda run: run[0].name,
    "seed": lambda run: run[1],
    "Avg Score": lambda run: f"{run[0].scores[run[1]]:.2f}",
    "folder": lambda run: run[0].runs[run[1]].name,
}
