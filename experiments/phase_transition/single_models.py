"""Print how a model for each task does beside models of all these tasks in one encoder: dev scores, and differences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.markdown import markdown_table
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import Record, read_records, refuse_difference
from mt_dnn.reports.comparison import compare, mean
from mt_dnn.reports.gather import gather, of_one_task
from mt_dnn.reports.pairing import over_tasks
from mt_dnn.reports.points import Point
from mt_dnn.reports.rows import ModelRow, gather_rows
from mt_dnn.reports.score_table import show_cell
from mt_dnn.reports.wording import difference_in_words


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("single", metavar="SINGLE", help="folder of runs of one task, or of their records")
    parser.add_argument("shared", metavar="SHARED", help="folder of runs of several tasks, or of their records")
    options = parser.parse_args()
    rows = gather_rows([record for record in read_records([options.shared]) if len(record.tasks) > 1])
    transitions = gather(of_one_task(read_records([options.single])))
    dense = {transition.task: transition.dense for transition in transitions if transition.dense}
    if len(dense) < sum(bool(transition.dense) for transition in transitions):
        raise UserError(f"{options.single}: several parts of a task's training rows, expected one part of each task")
    tasks = rows[0].tasks if rows else []
    if missing := [task for task in tasks if task not in dense]:
        raise UserError(f"{options.single}: no dense model of {', '.join(missing)}, expected one of every task")
    if not rows:
        raise UserError(f"{options.shared}: no run of several tasks, expected some")
    for row in rows:
        for task in tasks:
            refuse_other_rows(task, dense[task].any_run, row.any_run)
    print(to_markdown(rows, {task: dense[task] for task in tasks}))


def refuse_other_rows(task: str, single: Record, shared: Record) -> None:
    """Raise UserError if a run of one task and one of several have other rows of that task, or other encoders."""

    def of_task(run: Record) -> Record:
        data = {split: run.options.get("data", {}).get(split) for split in single.options.get("data", {})}
        return replace(run, options={**run.options, "data": data, "train_fraction": run.fraction_of(task)})

    refuse_difference(
        of_task(single), of_task(shared), ["encoder_weights", "model", "data", "train_fraction", "holdout"]
    )


def to_markdown(rows: Sequence[ModelRow], dense: Mapping[str, Point]) -> str:
    """Return two tables: the dev metrics of the models in `dense`, one for each task, means over seeds; and each row
    minus these models, the mean over tasks with its 95 % interval, on dev and on held-out rows.
    """
    metrics = {
        task: [(dev_set, metric) for dev_set, values in point.any_run.result["dev"].items() for metric in values]
        for task, point in dense.items()
    }
    cells = [show_cell([mean(point.values(*key)) for key in metrics[task]]) for task, point in dense.items()]
    average, _ = over_tasks({task: (point.scores, point.scores) for task, point in dense.items()})
    table = markdown_table(["", *dense, "average"], [["dense, a model per task", *cells, f"{mean(average):.1f}"]])
    differences = []
    for row in rows:
        dev = {task: (row.scores_of(task), point.scores) for task, point in dense.items()}
        held_out = {task: (row.held_out_of(task), point.held_out) for task, point in dense.items()}
        compared = [difference_in_words(compare(*over_tasks(pairs))) for pairs in (dev, held_out)]
        differences.append([f"{row.name} minus a model per task", *compared])
    return f"{table}\n\n{markdown_table(['average of the tasks', 'on dev', 'on held-out rows'], differences)}"


if __name__ == "__main__":
    run_main(main)
