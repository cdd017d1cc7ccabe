"""The phase transition over all tasks: winning tickets of each size beside the dense model."""

from collections.abc import Iterator, Sequence

from mt_dnn.reports.comparison import Comparison, compare, corrected
from mt_dnn.reports.decisions import ON_HELD_OUT, comparison_columns
from mt_dnn.reports.page import Block, Columns, Heading, table_of
from mt_dnn.reports.pairing import by_size, over_tasks
from mt_dnn.reports.points import Point, Size, Transition
from mt_dnn.reports.wording import difference_in_words


def winning_to_dense(transitions: Sequence[Transition]) -> list[tuple[Point, Comparison]]:
    """Return, for each size of winning tickets that all tasks have, the mean over tasks of winning minus dense.

    The Point is the first task's; the comparisons are corrected for the sizes. Tasks without a dense model or winning
    tickets, and those whose dense model has not learnt, take no part. There is nothing for one task, as its own table
    has the differences, nor for several encoders, of which tickets of one size leave different weights.
    """
    tasks, encoders = {}, set()
    for part in transitions:
        if part.dense and _takes_part(part):
            tasks[part.title] = part.dense.scores, by_size(part.of_kind("winning"))
            encoders.add(part.dense.any_run.result["model"]["name"])
    if len(tasks) < 2 or len(encoders) > 1:
        return []
    _, first = next(iter(tasks.values()))
    sizes = [size for size in first if all(size in tickets for _, tickets in tasks.values())]
    pairs = {
        size: {title: (tickets[size].scores, dense) for title, (dense, tickets) in tasks.items()} for size in sizes
    }
    compared = corrected({size: compare(*over_tasks(of_size)) for size, of_size in pairs.items()})
    return [(first[size], comparison) for size, comparison in compared.items()]


def all_tasks_section(transitions: Sequence[Transition]) -> Iterator[Block]:
    """The table of winning_to_dense(), if there is any."""
    if rows := winning_to_dense(transitions):
        on_them = _on_held_out_rows(transitions)
        held_out: Columns = {ON_HELD_OUT: lambda row: difference_in_words(on_them.get(row[0].size))}
        yield Heading("Winning tickets of each size, all tasks", 3)
        yield table_of(
            COLUMNS | held_out if on_them else COLUMNS,
            rows,
            "Mean of winning minus dense over the tasks that have both. It belongs to no hypothesis.",
        )


def _on_held_out_rows(transitions: Sequence[Transition]) -> dict[Size, Comparison]:
    """winning_to_dense() on the held-out training rows; {} unless the same tasks take part."""
    others = [transition.on_held_out_rows() for transition in transitions]
    if any(_takes_part(transition) != _takes_part(other) for transition, other in zip(transitions, others)):
        return {}
    return {point.size: comparison for point, comparison in winning_to_dense(others)}


def _takes_part(transition: Transition) -> bool:
    return transition.has_learnt and bool(transition.dense and transition.of_kind("winning"))


COLUMNS: Columns = {
    "weights": lambda row: row[0].percent,
    "heads closed": lambda row: row[0].heads,
    "FFNs closed": lambda row: row[0].ffns,
    **comparison_columns(lambda row: row[1], "to dense [95 %]"),
}
