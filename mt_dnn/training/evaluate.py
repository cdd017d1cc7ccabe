"""Predictions and metrics of a split."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_utils.files import write_whole
from data_utils.metrics import average_score
from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.encoders.encoder import TaskModel
from mt_dnn.runtime.distributed import all_reduce_sum
from mt_dnn.runtime.machine import autocast, to_device
from mt_dnn.training.divergence import refuse_infinite_outputs
from mt_dnn.training.micro_batches import MicroBatches
from mt_dnn.training.task_data import TaskData


@torch.no_grad()
def predict(
    model: TaskModel,
    task: Task,
    split: TokenizedSplit,
    batch_size: int,
    precision: str = "float32",
    tokens: int | None = None,
) -> np.ndarray:
    """Return the outputs of every row, (rows, outputs) float32, in the order of the split; dropout off.

    Several processes share the rows, and each of them returns all outputs.

    `precision`: "bfloat16" or "float32", of the encoder's layers. `tokens`: how many are computed at once (None: a
    whole batch).
    """
    device = model.device
    outputs = torch.zeros(len(split), task.n_outputs, dtype=torch.float32, device=device)
    model.eval()
    micro_batches = MicroBatches.for_model(model, precision, tokens).of_split(split, batch_size)
    with autocast(device, precision):  # around all of them, so that every weight is cast once
        for rows, batch in micro_batches:
            places = to_device({"rows": torch.from_numpy(rows)}, device)  # so that nothing waits for the GPU
            outputs[places["rows"]] = model(task, batch).float()
    return all_reduce_sum(outputs).cpu().numpy()


def measure(task: Task, split: TokenizedSplit, outputs: np.ndarray) -> dict[str, float]:
    """Return {metric: value} of `outputs`, (rows, outputs), against the split's labels."""
    return task.kind.measure(task.metrics, np.asarray(split.labels), task.kind.decide(outputs))


def evaluate(
    model: TaskModel,
    data: Sequence[TaskData],
    batch_size: int,
    precision: str,
    tokens: int | None,
    when: str,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Evaluate the dev sets and the held-out rows of all tasks. `batch_size`, `precision`, `tokens`: as in predict().

    Returns (what metrics.jsonl says of it, {dev set: outputs, (rows, outputs) float32}). Raises Diverged if an output
    is NaN or infinite; `when`: starts its message.
    """

    def outputs_of(task: Task, name: str, split: TokenizedSplit) -> np.ndarray:
        found = predict(model, task, split, batch_size, precision, tokens)
        refuse_infinite_outputs(found, f"{when}: outputs for {name}")
        return found

    started, outputs, dev, held_out = time.perf_counter(), {}, {}, {}
    for task_data in data:
        task = task_data.task
        for name, split in task_data.dev.items():
            outputs[name] = outputs_of(task, name, split)
        dev[task.name] = {name: measure(task, split, outputs[name]) for name, split in task_data.dev.items()}
        if task_data.held_out:
            predicted = outputs_of(task, f"held-out rows of {task.name}", task_data.held_out)
            held_out[task.name] = measure(task, task_data.held_out, predicted)
    evaluated = {
        "dev": {name: metrics for dev_sets in dev.values() for name, metrics in dev_sets.items()},
        "average_score": average_score(dev),
        **({"held_out": held_out} if held_out else {}),
        "seconds_evaluating": round(time.perf_counter() - started, 3),
    }
    return evaluated, outputs


def show_metrics(epoch: dict[str, Any], n_tasks: int) -> str:
    """{"dev": {"rte": {"accuracy": 0.61}}, ...} -> "rte accuracy 61.00", and the average score of several tasks."""

    def in_words(by_name: dict[str, dict[str, float]]) -> list[str]:
        return [
            f"{name} " + ", ".join(f"{metric} {100 * value:.2f}" for metric, value in values.items())
            for name, values in by_name.items()
        ]

    held_out = [f"held out: {'; '.join(in_words(epoch['held_out']))}"] if "held_out" in epoch else []
    average = [f"average score {100 * epoch['average_score']:.2f}"] if n_tasks > 1 else []
    return "; ".join(in_words(epoch["dev"]) + average + held_out)


def write_predictions(path: Path, task: Task, split: TokenizedSplit, outputs: np.ndarray) -> None:
    """Write a line per row: its number, the label, the prediction, and what the task's kind shows beside it.

    Numbers count from 0 the rows that prepro.py kept, not those of the raw file.
    """
    kind, names, labels = task.kind, task.labels, np.asarray(split.labels)
    with write_whole(path) as file:
        file.write("\t".join(["row", "label", *kind.prediction_columns(names)]) + "\n")
        for row, (label, fields) in enumerate(zip(labels, kind.prediction_fields(outputs, names))):
            file.write("\t".join([str(row), kind.show(label, names), *fields]) + "\n")
