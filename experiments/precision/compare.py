"""Evaluate trained models in float32 and in bfloat16: how far does the precision of an evaluation move the metrics?

Prints a table with a line for each run, in points.
"""

from collections.abc import Iterator

from data_utils.cli import run_main
from data_utils.markdown import markdown_table
from data_utils.tasks import Task, read_tasks, select_tasks
from data_utils.tokenized import read_split
from mt_dnn.flags.parser import Parser

BATCH_SIZE = 64


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a run that has its model")
    parser.add_argument("--task", required=True, help="task of the runs")
    parser.add_argument("--task_def", required=True, help="YAML file that describes the task")
    parser.add_argument("--data_dir", required=True, help="folder of the tokenized splits")
    parser.add_argument("--device", default="auto", choices=["auto", "cuda", "cpu"], help="where to compute")
    options = parser.parse_args()

    (task,) = select_tasks(read_tasks(options.task_def), [options.task], options.task_def)
    lines = [line for run in options.runs for line in compare(run, task, options.data_dir, options.device)]
    print(markdown_table(["run", "dev set", "metric", "float32", "bfloat16 - float32"], lines))


def compare(run: str, task: Task, data_dir: str, device: str) -> Iterator[list[str]]:
    """Yield a line of the table for each dev set and metric of `task`.

    Raises UserError if `run` has no model for the task, or `data_dir` no dev set.
    """
    from mt_dnn.export.classifier import load_saved
    from mt_dnn.export.saved_model import find_saved_model
    from mt_dnn.runtime.device import choose_device
    from mt_dnn.training.evaluate import measure, predict

    saved = find_saved_model(run)
    saved.task(task.name)
    model = load_saved(saved, choose_device(device))
    for name, split_name in task.dev_sets.items():
        split = read_split(data_dir, task, split_name)
        exact, rounded = (
            measure(task, split, predict(model, task, split, BATCH_SIZE, precision))
            for precision in ("float32", "bfloat16")
        )
        for metric, value in exact.items():
            moved = 100 * (rounded[metric] - value)
            yield [run, name, metric, f"{100 * value:.2f}", f"{moved:+.2f}"]


if __name__ == "__main__":
    run_main(main)
