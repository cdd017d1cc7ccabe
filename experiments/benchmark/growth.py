"""How cost grows: seconds of fine-tuning against tokens per row, rows, sparsity and number of tasks."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from by_us import ByUs
from made_up import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Growth = dict[str, tuple[list[float], list[float]]]  # {what: (x, seconds)}


def measure(device: torch.device, precision: str, batch_size: int, repeats: int) -> Growth:
    """Return {what: ([x], [seconds])}: medians of interleaved repeats.

    Where nothing else is said: the shape of MiniLM, dense, one task, 64 rows of 64 tokens. The series over the number
    of tasks has 128 rows in all and a ticket at sparsity 0.2 for each task, in one encoder.
    """

    def rows(n: int, length: int) -> Rows:
        return Rows(np.full(n, length))

    whole, works = rows(64, 64), {}
    for length in (16, 32, 64, 128, 256):
        works["tokens per row", length] = (rows(64, length), {})
    for n in (32, 64, 128, 256):
        works["rows", n] = (rows(n, 64), {})
    for sparsity in ("0.0", "0.2", "0.4", "0.6", "0.8"):
        works["sparsity", float(sparsity)] = (whole, {"sparsity": sparsity})
    for tasks in (1, 2, 4):
        works["tasks", tasks] = (rows(128, 64), {"sparsity": "0.2", "tasks": tasks})
    ours = ByUs("minilm", whole, device, precision, batch_size)
    _seconds(ours, whole)  # warms up
    seconds = {key: [] for key in works}
    for _ in range(repeats):
        for key, (split, how) in works.items():
            seconds[key].append(_seconds(ours, split, **how))
    medians = {key: round(float(np.median(times)), 2) for key, times in seconds.items()}
    return {
        what: ([x for of, x in medians if of == what], [value for (of, _), value in medians.items() if of == what])
        for what in dict.fromkeys(of for of, _ in medians)
    }


def _seconds(ours: ByUs, split: Rows, sparsity: str = "0.0", tasks: int = 1) -> float:
    ours.split = split
    parts = np.array_split(np.arange(len(split)), tasks)
    return ours.fine_tune_many(
        {f"task_{number}": (part, ours.ticket(sparsity, seed=number)) for number, part in enumerate(parts)}
    )


def draw(growth: Growth) -> "Figure":
    """Return a figure with a panel for each entry of measure()'s outcome."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 2.6), layout="constrained")
    for axes, (what, (x, seconds)) in zip(figure.subplots(1, len(growth)), growth.items()):
        axes.plot(x, seconds, "o-", color="tab:blue")
        axes.set(xlabel=what, ylim=(0, 1.1 * max(seconds)), xlim=(0, 1.1 * max(x)))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("seconds")
    return figure
