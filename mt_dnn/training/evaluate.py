"""Predictions and metrics of a split."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from data_utils.batches import sorted_batches
from data_utils.files import write_whole
from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.runtime.distributed import all_reduce_sum, shard
from mt_dnn.runtime.log import progress_bar
from mt_dnn.runtime.machine import to_device


@torch.no_grad()
def predict(
    model: nn.Module,
    task: Task,
    split: TokenizedSplit,
    batch_size: int,
    precision: Callable[[], AbstractContextManager],
    tokens: int | None = None,
) -> np.ndarray:
    """Return the outputs of every row, (rows, outputs) float32, in the order of the file; dropout off.

    Several processes take every row once between them, and all return all outputs.

    `precision`: makes a context for the forward pass (machine.autocast). `tokens`: how many are computed at once.
    """
    device = model.device
    outputs = torch.zeros(len(split), task.n_outputs, dtype=torch.float32, device=device)
    was_training = model.training
    model.eval()
    for rows in progress_bar(
        iterable=shard(sorted_batches(split.lengths, batch_size, tokens)), desc="evaluation", unit="batch"
    ):
        batch = to_device(split.batch(rows), device)
        with precision():
            outputs[torch.from_numpy(rows).to(device)] = model(task, batch).float()
    model.train(was_training)
    return all_reduce_sum(outputs).cpu().numpy()


def measure(task: Task, split: TokenizedSplit, outputs: np.ndarray) -> dict[str, float]:
    """Return {metric: value} of `outputs`, (rows, outputs), against the split's labels."""
    return task.kind.measure(task.metrics, np.asarray(split.labels), outputs)


def write_predictions(path: Path, task: Task, split: TokenizedSplit, outputs: np.ndarray) -> None:
    """Write a line per row: its number from 0, the label, the prediction, and what the task's kind shows beside it."""
    kind, names, labels = task.kind, task.labels, np.asarray(split.labels)
    with write_whole(path) as file:
        file.write("\t".join(["row", "label", *kind.prediction_columns(names)]) + "\n")
        for row, (label, fields) in enumerate(zip(labels, kind.prediction_fields(outputs, names))):
            file.write("\t".join([str(row), kind.show(label, names), *fields]) + "\n")
