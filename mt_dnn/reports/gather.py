"""Gather finished runs of single tasks into points: one ticket of one task, over its seeds."""

from collections.abc import Iterable, Sequence

from data_utils.errors import UserError
from mt_dnn.records.record import Record, add_run, refuse_unlike
from mt_dnn.reports.points import Point, Transition, section_title
from mt_dnn.run_folder import unless_default
from mt_dnn.tickets.masks import KINDS


def of_one_task(records: Sequence[Record]) -> list[Record]:
    """Return the runs of one task each; raise UserError if there are none."""
    single = [record for record in records if len(record.tasks) == 1]
    if not single:
        raise UserError(
            f"{records[0].place}: a run of {len(records[0].tasks)} tasks, expected runs of one; "
            "python -m mt_dnn.reports.multi_task shows this one"
        )
    return single


def gather(records: Iterable[Record]) -> list[Transition]:
    """Gather runs of one task each into Transitions, in the order of the tasks and of the parts of their training rows.

    The same ticket and seed found twice (the dense model, fine-tuned by train.py and rewound with an empty ticket)
    counts once; if its scores differ, the Point has the second run in `repeats`. Tickets of different seeds may close
    different units, as each seed may have masks of its own.

    Raises UserError where runs that would stand in one section were trained with different options, and where one seed
    has different tickets at one point: a table would show them as if they were alike.
    """
    sections: dict[tuple[str, float], list[Record]] = {}
    for record in records:
        (task,) = record.tasks
        sections.setdefault((task, record.fraction_of(task)), []).append(record)
    tasks = [task for task, _ in sections]
    transitions = []
    for (task, fraction), alike in sorted(sections.items()):
        refuse_unlike(alike)
        title = section_title(task, fraction, several=tasks.count(task) > 1)
        transitions.append(Transition(task, title, fraction, _points(task, alike)))
    return transitions


def _points(task: str, records: Iterable[Record]) -> list[Point]:
    """Return the Points of the runs of one task and one part of its rows, in the order in which the report has them."""
    points: dict[tuple, Point] = {}
    for record in records:
        remaining, size = record.result["tasks"][task]["remaining_weights"]["by_formula"], record.ticket(task).counts
        owner, criterion, kind = record.owner(task), record.criterion(task), record.kind
        if size == (0, 0):  # at a sparsity so low that it closes nothing, every ticket is the dense model
            owner, criterion, kind = task, None, "dense"
        key = owner, unless_default(criterion), kind, size
        point = points.setdefault(key, Point(task, owner, criterion, kind, *size, remaining, {}))
        add_run(point.runs, point.repeats, record)
    for point in points.values():
        point.runs = dict(sorted(point.runs.items()))
    return sorted(points.values(), key=_place)


def _place(point: Point) -> tuple:
    """Where the report shows a Point: a task's own tickets first, the dense model first, sparser tickets last."""
    whose = point.owner != point.task, point.owner
    return *whose, unless_default(point.criterion), KINDS.index(point.kind), -point.remaining, *point.size
