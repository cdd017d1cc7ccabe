"""What came out for hypotheses, as blocks of a page, and the columns of any table that shows a Comparison."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mt_dnn.reports.comparison import Comparison
from mt_dnn.reports.hypotheses import Finding
from mt_dnn.reports.page import Block, Bullets, Columns, Paragraph, table_of
from mt_dnn.reports.sentences import hypothesis_line
from mt_dnn.reports.wording import difference_in_words, p_or_why


def decisions(tested: Sequence[Finding]) -> Iterator[Block]:
    """A sentence for each hypothesis, the table of its tasks, and the tasks that take no part, with the reason."""
    yield Bullets([hypothesis_line(found) for found in tested])
    if rows := [(found, task) for found in tested for task in found.by_task]:
        on_held_out = {ON_HELD_OUT: lambda row: difference_in_words(row[0].held_out_by_task.get(row[1]))}
        columns = COLUMNS | (on_held_out if any(found.held_out for found in tested) else {})
        yield table_of(columns, rows, (WITHOUT if any(found.without for found in tested) else "") + P_OF_A_TASK)
    if lines := [f"{found.claim.name}, {task}: {why}" for found in tested for task, why in found.left_out.items()]:
        yield Paragraph("Tasks that take no part:")
        yield Bullets(lines)


def comparison_columns(of: Callable[[Any], Comparison], heading: str = "difference [95 %]") -> Columns:
    """Return the columns that show the Comparison `of` a row; `heading`: that of the first."""
    return {
        heading: lambda row: difference_in_words(of(row)),
        "p (Holm)": lambda row: p_or_why(of(row)),
        "seeds": lambda row: of(row).seeds,
    }


ON_HELD_OUT = "on held-out rows [95 %]"
WITHOUT = "Without the task: the mean over the other tasks. It shows how much one task decides, and is no test. "
P_OF_A_TASK = "A p in this table is corrected for the tasks, that of a verdict above for the hypotheses or questions."
COLUMNS: Columns = {
    "hypothesis": lambda row: row[0].claim.name,
    "task": lambda row: row[1],
    **comparison_columns(lambda row: row[0].by_task[row[1]]),
    "without the task [95 %]": lambda row: difference_in_words(row[0].without.get(row[1])),
    "heads + FFNs closed": lambda row: row[0].tickets[row[1]],
}
