"""Gather finished runs of single tasks into points: one ticket of one task, over its seeds."""

from collections.abc import Iterable

from data_utils.run_folder import DEFAULT_CRITERION
from mt_dnn.reports.points import Point, Transition, section_title
from mt_dnn.reports.records import Record, refuse_difference
from mt_dnn.tickets.masks import KINDS


def gather(records: Iterable[Record]) -> list[Transition]:
    """Gather runs of one task each into Transitions, in the order of the tasks and of the parts of their training rows.

    The same ticket and seed found twice (the dense model, fine-tuned by train.py and rewound with an empty ticket)
    counts once. Tickets of different seeds may close different units, as each seed may have masks of its own.

    Raises UserError where runs that would stand in one section were trained with different options, and where one seed
    has different tickets at one point: a table would show them as if they were alike.
    """
    found: dict[tuple[str, float], dict[tuple, dict[int, Record]]] = {}
    first: dict[tuple[str, float], Record] = {}
    for record in records:
        ((task, entry),) = record.result["tasks"].items()
        section = task, record.train_fraction
        refuse_difference(first.setdefault(section, record), record)
        counts = entry["heads_closed"], entry["ffns_closed"]
        owner, criterion = record.owner(task), record.criterion(task)
        key = (
            owner != task,
            owner,
            criterion if criterion not in (None, DEFAULT_CRITERION) else "",
            KINDS.index(record.kind),
            -entry["remaining_weights"]["by_formula"],
            *counts,
        )
        runs = found.setdefault(section, {}).setdefault(key, {})
        refuse_difference(runs.setdefault(record.seed, record), record, ["tickets"])
    tasks = [task for task, _ in found]
    transitions = []
    for (task, fraction), points in sorted(found.items()):
        made = [
            Point(
                task,
                owner,
                next(iter(runs.values())).criterion(task),
                KINDS[kind],
                heads,
                ffns,
                -remaining,
                dict(sorted(runs.items())),
            )
            for (_, owner, _, kind, remaining, heads, ffns), runs in sorted(points.items())
        ]
        title = section_title(task, fraction, several=tasks.count(task) > 1)
        transitions.append(Transition(task, title, fraction, made))
    return transitions
