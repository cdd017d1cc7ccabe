"""Measure how cost grows: seconds of fine-tuning against tokens per row, rows, sparsity and number of tasks.

Writes growth.json and growth.png. The weights have the shape of MiniLM; weights and texts are made up.
"""

import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.cli import run_main
from data_utils.files import write_whole
from data_utils.json_file import write_json
from mt_dnn.flags.flag import COUNT
from mt_dnn.flags.parser import Parser

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Growth = dict[str, tuple[list[float], list[float]]]  # what: (x, seconds)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument(
        "--device",
        default="auto",
        choices=["auto", "cuda", "cpu"],
        help="where to run; auto takes the GPU if there is one (default: auto)",
    )
    parser.add_argument(
        "--precision", default="auto", choices=["auto", "bfloat16", "float32"], help="as train.py's (default: auto)"
    )
    parser.add_argument(
        "--rows", type=COUNT, default=64, help="rows to train on; take 3200 on a GPU, which is faster (default: 64)"
    )
    parser.add_argument("--repeats", type=COUNT, default=3, help="times that each is measured, in turns (default: 3)")
    parser.add_argument(
        "--output_dir",
        default="checkpoints/benchmark",
        help="folder for growth.json and growth.png (default: checkpoints/benchmark)",
    )
    options = parser.parse_args()
    growth = measure(options.device, options.precision, options.rows, options.repeats)
    output = Path(options.output_dir)
    write_json(output / "growth.json", growth)
    with write_whole(output / "growth.png", "wb") as file:
        draw(growth).savefig(file, format="png", dpi=110)
    print(f"written: {output}/growth.json, growth.png")


def measure(device_name: str, precision_name: str, rows: int, repeats: int) -> Growth:
    """Return medians of interleaved repeats.

    Where nothing else is said: dense, one task, so many rows of 64 tokens. The series over the number of tasks has
    twice as many rows in all, and a ticket at sparsity 0.2 for each task, in one encoder.
    """
    import numpy as np

    from experiments.benchmark.by_us import random_ticket
    from experiments.benchmark.made_up import make_encoder, make_split, make_task
    from mt_dnn.flags.training import MachineOptions, OptimizationOptions
    from mt_dnn.model import Model, place_tickets
    from mt_dnn.run_folder import RunFolder
    from mt_dnn.runtime.device import choose_device
    from mt_dnn.runtime.machine import choose_gpu_kernels, choose_precision, save_time
    from mt_dnn.tickets.ticket import DENSE
    from mt_dnn.training.task_data import TaskData
    from mt_dnn.training.trainer import fine_tune

    choose_gpu_kernels()
    save_time()
    device = choose_device(device_name)
    precision = choose_precision(precision_name, device)

    def seconds(n: int, length: int, sparsity: float = 0.0, n_tasks: int = 1) -> float:
        encoder, split = make_encoder("minilm"), make_split(np.full(n, length))
        tasks = [make_task(f"task_{number}") for number in range(n_tasks)]
        tickets = {
            task.name: random_ticket(encoder.config, str(sparsity), seed) if sparsity else DENSE
            for seed, task in enumerate(tasks)
        }
        model = Model(encoder, tasks)
        model.draw_task_heads(0)
        data = [
            TaskData(task, split.part(of_task), {task.name: split.part(of_task[:1])})
            for task, of_task in zip(tasks, np.array_split(np.arange(n), n_tasks))
        ]
        with tempfile.TemporaryDirectory() as folder:
            model, files = place_tickets(model.to(device), tickets), RunFolder(Path(folder))
            epochs, _ = fine_tune(model, data, OptimizationOptions(epochs=1), MachineOptions(), precision, 0, files)
        return epochs[0]["seconds"]

    works = {
        **{("tokens per row", length): (rows, length) for length in (16, 32, 64, 128, 256)},
        **{("rows", n): (n, 64) for n in (math.ceil(rows / 2), rows, 2 * rows, 4 * rows)},
        **{("sparsity", sparsity): (rows, 64, sparsity) for sparsity in (0.0, 0.2, 0.4, 0.6, 0.8)},
        **{("tasks", n_tasks): (2 * rows, 64, 0.2, n_tasks) for n_tasks in (1, 2, 4)},
    }
    seconds(rows, 64)  # warms up
    times = {key: [] for key in works}
    for _ in range(repeats):
        for key, work in works.items():
            times[key].append(seconds(*work))
    medians = {key: round(float(np.median(of_key)), 2) for key, of_key in times.items()}
    return {
        what: ([x for of, x in medians if of == what], [value for (of, _), value in medians.items() if of == what])
        for what in dict.fromkeys(of for of, _ in medians)
    }


def draw(growth: Growth) -> "Figure":
    """Return a figure with a panel for each entry of `growth`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.6), layout="constrained")
    for axes, (what, (x, seconds)) in zip(figure.subplots(1, len(growth)), growth.items()):
        axes.plot(x, seconds, "o-", color="tab:blue")
        axes.set(xlabel=what, ylim=(0, 1.1 * max(seconds)), xlim=(0, 1.1 * max(x)))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds")
    return figure


if __name__ == "__main__":
    run_main(main)
