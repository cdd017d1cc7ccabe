"""Print how tickets transfer within a group of tasks, such as those on pairs, and between this group and the others."""

import contextlib
from collections.abc import Collection, Sequence

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.markdown import markdown_table
from mt_dnn.flags.flag import names
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import read_records
from mt_dnn.reports.comparison import compare
from mt_dnn.reports.gather import gather, of_one_task
from mt_dnn.reports.pairing import NoPart, Pair, by_size, over_items, over_tasks
from mt_dnn.reports.points import Transition
from mt_dnn.reports.wording import difference_in_words


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("records", metavar="RECORDS", help="folder of the runs of a sweep, or of their records")
    parser.add_argument("group", metavar="TASKS", type=names, help="the tasks of a group, separated by commas")
    options = parser.parse_args()
    transitions = gather(of_one_task(read_records([options.records])))
    tasks = [transition.task for transition in transitions]
    if unknown := [task for task in options.group if task not in tasks]:
        raise UserError(f"{options.records}: no runs of {', '.join(unknown)}, expected some of: {', '.join(tasks)}")
    print(to_markdown(transitions, options.group))


def to_markdown(transitions: Sequence[Transition], group: Collection[str]) -> str:
    """Return a table for the tasks of the `group` and for the others: the mean over tasks of their dev score under
    winning tickets of either group, minus that under their own ones, and under random ones of equal size, with 95 %
    intervals. A row names the tasks that have all these runs. These comparisons belong to no hypothesis, so they have
    no p-value.
    """
    other = [transition.task for transition in transitions if transition.task not in group]
    rows = []
    for tasks in (group, other):
        for owners in (group, other):
            own, random = (_pairs(transitions, tasks, owners, kind) for kind in ("winning", "random"))
            if both := [task for task in own if task in random]:
                compared = [compare(*over_tasks({task: pairs[task] for task in both})) for pairs in (own, random)]
                rows.append([", ".join(both), ", ".join(owners), *map(difference_in_words, compared)])
    return markdown_table(["tasks", "winning tickets of", "minus their own", "minus random ones"], rows)


def _pairs(
    transitions: Sequence[Transition], tasks: Collection[str], owners: Collection[str], kind: str
) -> dict[str, Pair]:
    """{task: (its scores under winning tickets of the `owners`, those under tickets of this `kind` and equal size)}.

    `kind`: "winning", which means its own, or "random".
    """
    found = {}
    for transition in transitions:
        if transition.task in tasks and transition.has_learnt:
            reference = by_size(transition.of_kind(kind))
            items = {
                (point.owner, point.size): (point, reference[point.size])
                for point in transition.foreign
                if point.owner in owners and point.kind == "winning" and point.size in reference
            }
            with contextlib.suppress(NoPart):
                found[transition.title], _ = over_items(items, "no such tickets")
    return found


if __name__ == "__main__":
    run_main(main)
