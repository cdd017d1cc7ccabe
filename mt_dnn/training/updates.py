"""Which rows each update of the weights is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_utils.batches import mixed_batches
from mt_dnn.flags.training import OptimizationOptions
from mt_dnn.training.task_data import TaskData


@dataclass(frozen=True)
class Update:
    """One step of the optimizer: the gradients of `batches` are summed up before it.

    A batch has rows of one task: (the task's data, indices of the batch's rows in its `train`).
    """

    batches: list[tuple[TaskData, np.ndarray]]

    @property
    def n_rows(self) -> int:
        """The number of rows in all batches."""
        return sum(len(rows) for _, rows in self.batches)

    @property
    def n_tokens(self) -> int:
        """The number of tokens in all batches, padding not included."""
        return sum(int(task_data.train.lengths[rows].sum()) for task_data, rows in self.batches)

    @property
    def tasks(self) -> set[str]:
        """The names of the tasks whose batches these are."""
        return {task_data.task.name for task_data, _ in self.batches}


def updates_of_epoch(
    data: Sequence[TaskData], optimization: OptimizationOptions, seed: int, epoch: int
) -> list[Update]:
    """Return the updates of an epoch; epochs count from 1, and all have as many updates.

    Every row comes up once. `seed` and `epoch` decide the order, and the batches of the tasks are mixed.
    """
    by_name = {task_data.task.name: task_data for task_data in data}
    lengths = {name: task_data.train.lengths for name, task_data in by_name.items()}
    batches = [(by_name[name], rows) for name, rows in mixed_batches(lengths, optimization.batch_size, seed, epoch)]
    step = optimization.grad_accumulation_step
    return [Update(batches[start : start + step]) for start in range(0, len(batches), step)]
