"""The loss of every row, by kind of task (data_utils/task_kinds.py): of training and of importance scores."""

from collections.abc import Callable

import torch
from torch.nn import functional

from data_utils.tasks import Task


def cross_entropy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`outputs`: (batch, classes) logits; `labels`: (batch,) class ids. Returns (batch,)."""
    return functional.cross_entropy(outputs, labels, reduction="none")


def squared_error(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """`outputs`: (batch, 1) values; `labels`: (batch,) values. Returns (batch,)."""
    return (outputs.squeeze(1) - labels.to(outputs.dtype)) ** 2


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "classification": cross_entropy,
    "regression": squared_error,
}


def loss_per_row(
    model: Callable[[Task, dict[str, torch.Tensor]], torch.Tensor], task: Task, batch: dict[str, torch.Tensor]
) -> torch.Tensor:
    """Return the loss of every row of `batch`, (batch,). `model` gives the outputs for a task and a batch."""
    return LOSSES[task.kind.name](model(task, batch), batch["labels"])
