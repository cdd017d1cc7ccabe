"""What came out for hypotheses, as blocks of a page."""

from collections.abc import Iterator, Sequence

from mt_dnn.reports.hypotheses import Finding
from mt_dnn.reports.page import Block, Bullets, Columns, Paragraph, table_of
from mt_dnn.reports.sentences import difference, hypothesis_line, p_or_why


def decisions(tested: Sequence[Finding]) -> Iterator[Block]:
    """A sentence for each hypothesis, the table of its tasks, and the tasks that take no part, with the reason."""
    yield Bullets([hypothesis_line(found) for found in tested])
    if rows := [(found, task) for found in tested for task in found.by_task]:
        columns = COLUMNS | (HELD_OUT if any(found.held_out for found in tested) else {})
        yield table_of(columns, rows, WITHOUT if any(found.without for found in tested) else "")
    if lines := [f"{found.name}, {task}: {why}" for found in tested for task, why in found.left_out.items()]:
        yield Paragraph("Tasks that take no part:")
        yield Bullets(lines)


WITHOUT = "Without the task: the mean over the other tasks. It shows how much one task decides, and is no test."
COLUMNS: Columns = {
    "hypothesis": lambda row: row[0].name,
    "task": lambda row: row[1],
    "difference [95 %]": lambda row: difference(row[0].by_task[row[1]]),
    "p (Holm)": lambda row: p_or_why(row[0].by_task[row[1]]),
    "seeds": lambda row: row[0].by_task[row[1]].seeds,
    "without the task [95 %]": lambda row: difference(row[0].without[row[1]]) if row[0].without else "",
    "heads + FFNs closed": lambda row: row[0].how[row[1]],
}
HELD_OUT: Columns = {
    "on held-out rows [95 %]": lambda row: difference(row[0].held_out_by_task[row[1]]) if row[0].held_out else "",
}
