"""Gather finished runs of single tasks into points: one ticket of one task, over its seeds."""

from collections.abc import Iterable
from typing import NamedTuple

from data_utils.run_folder import DEFAULT_CRITERION
from mt_dnn.records.record import Record, refuse_difference
from mt_dnn.reports.points import Point, Transition, section_title
from mt_dnn.tickets.masks import KINDS


class Key(NamedTuple):
    """What the runs of one Point of a task share; `criterion`: "" for the default one, or none."""

    owner: str
    criterion: str
    kind: str
    remaining: float
    heads: int
    ffns: int


def gather(records: Iterable[Record]) -> list[Transition]:
    """Gather runs of one task each into Transitions, in the order of the tasks and of the parts of their training rows.

    The same ticket and seed found twice (the dense model, fine-tuned by train.py and rewound with an empty ticket)
    counts once. Tickets of different seeds may close different units, as each seed may have masks of its own.

    Raises UserError where runs that would stand in one section were trained with different options, and where one seed
    has different tickets at one point: a table would show them as if they were alike.
    """
    found: dict[tuple[str, float], dict[Key, dict[int, Record]]] = {}
    first: dict[tuple[str, float], Record] = {}
    for record in records:
        ((task, entry),) = record.result["tasks"].items()
        section = task, record.train_fraction
        refuse_difference(first.setdefault(section, record), record)
        criterion = record.criterion(task)
        key = Key(
            record.owner(task),
            criterion if criterion not in (None, DEFAULT_CRITERION) else "",
            record.kind,
            entry["remaining_weights"]["by_formula"],
            entry["heads_closed"],
            entry["ffns_closed"],
        )
        runs = found.setdefault(section, {}).setdefault(key, {})
        refuse_difference(runs.setdefault(record.seed, record), record, ["tickets"])
    tasks = [task for task, _ in found]
    transitions = []
    for (task, fraction), points in sorted(found.items()):

        def order(key: Key, task: str = task) -> tuple:
            """Its own tickets first, then by owner, criterion and kind, the dense model first, sparser ones last."""
            return key.owner != task, key.owner, key.criterion, KINDS.index(key.kind), -key.remaining, key

        made = [
            Point(
                task,
                key.owner,
                next(iter(points[key].values())).criterion(task),
                key.kind,
                key.heads,
                key.ffns,
                key.remaining,
                dict(sorted(points[key].items())),
            )
            for key in sorted(points, key=order)
        ]
        title = section_title(task, fraction, several=tasks.count(task) > 1)
        transitions.append(Transition(task, title, fraction, made))
    return transitions
