"""Predictions and metrics of a split."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import nn

from data_utils.batches import sorted_batches
from data_utils.files import write_whole
from data_utils.metrics import compute
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


def decide(task, outputs):
    """Turn outputs (rows, outputs) into predictions (rows,): class ids, or values."""
    return outputs.argmax(1) if task.kind == "classification" else outputs[:, 0]


def measure(task, split, outputs):
    """Return {metric: value} of `outputs` against the split's labels."""
    return compute(task, np.asarray(split.labels), decide(task, outputs))


def write_predictions(path, task, split, outputs):
    """Write a line per row: its number from 0, the label, the prediction, then the class probabilities."""
    predicted = decide(task, outputs)
    with write_whole(path) as file:
        if task.kind == "classification":
            probabilities = torch.from_numpy(outputs).softmax(1).numpy()
            file.write("\t".join(["row", "label", "prediction", *(f"p({label})" for label in task.labels)]) + "\n")
            for row, (label, choice) in enumerate(zip(split.labels, predicted)):
                file.write(
                    "\t".join(
                        [str(row), task.labels[label], task.labels[choice], *(f"{p:.4f}" for p in probabilities[row])]
                    )
                    + "\n"
                )
        else:
            file.write("row\tlabel\tprediction\n")
            for row, (label, value) in enumerate(zip(split.labels, predicted)):
                file.write(f"{row}\t{label:g}\t{value:.4f}\n")
