"""Fine-tuning: one task or many; dense, pruned, gated or shared, it is the same loop."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data_utils.batches import mixed_batches
from data_utils.files import write_whole
from data_utils.run_folder import RunFolder
from mt_dnn.encoders.vocabulary import put_unused_rows_aside, put_unused_rows_back, sum_up_gradient
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model
from mt_dnn.runtime.distributed import all_reduce_gradients, on_main_process
from mt_dnn.runtime.log import log, progress_bar
from mt_dnn.runtime.machine import autocast, choose_tokens_at_once
from mt_dnn.training.bfloat16 import Bfloat16Copies
from mt_dnn.training.checkpoint import Checkpoints, Progress
from mt_dnn.training.evaluate import evaluate, show_metrics
from mt_dnn.training.optim import decay_factors, make_optimizer, make_scheduler, spares_unused_rows
from mt_dnn.training.pace import Pace, finite
from mt_dnn.training.parts import Parts
from mt_dnn.training.task_data import TaskData


def fine_tune(
    model: Model,
    data: Sequence[TaskData],
    optimization: OptimizationOptions,
    machine: MachineOptions,
    precision: str,
    seed: int,
    files: RunFolder,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Train `model` on `data`, evaluate every dev set after every epoch, write a line per epoch to `files.metrics`.

    A batch has rows of one task; the tasks' batches are mixed. Several processes share the rows of every batch, so that
    the updates are those of one process.

    A training that was stopped resumes from the newest checkpoint in `files.checkpoints`. On a CPU it ends with exactly
    the weights and outputs that it would have had.

    `precision`: "bfloat16" or "float32", of the encoder's layers. `seed` decides the order of the rows; torch's random
    numbers, which decide dropout, are to be seeded before.

    Returns (epochs, as they are in `files.metrics`; {dev set: outputs after the last epoch}).
    Raises Diverged when the loss is no longer a number.
    """
    tasks = {of_task.task.name: of_task for of_task in data}
    parts = Parts(model.device)
    if not machine.plain:
        tokens = choose_tokens_at_once(machine.tokens_at_once, model.device)
        parts = Parts.for_model(model, precision, tokens)
        splits = [split for of_task in data for split in of_task.splits]
        put_unused_rows_aside(model.encoder, splits if spares_unused_rows(optimization.optimizer) else None)
    copies = Bfloat16Copies(model) if precision == "bfloat16" and not machine.plain else None
    optimizer = make_optimizer(model, optimization, machine.plain)
    updates_per_epoch = count_updates(data, optimization)
    updates = updates_per_epoch * optimization.epochs
    scheduler = make_scheduler(optimizer, updates, optimization.warmup)
    checkpoints = Checkpoints(files.checkpoints, machine.checkpoint_minutes, model, optimizer, scheduler)
    progress = checkpoints.restore()
    pace = Pace(updates, optimization.epochs, machine.log_per_updates, scheduler.last_epoch, tasks, model.device)
    outputs = {}

    for epoch in range(len(progress.epochs) + 1, optimization.epochs + 1):
        model.train()
        pace.start_epoch(epoch, progress)
        lengths = {name: of_task.train.lengths[of_task.rows] for name, of_task in tasks.items()}
        batches = mixed_batches(lengths, optimization.batch_size, seed, epoch)
        starts = range(progress.batches, len(batches), optimization.grad_accumulation_step)
        for start in progress_bar(iterable=starts, desc=f"epoch {epoch}", unit="update"):
            update = batches[start : start + optimization.grad_accumulation_step]
            n_rows = sum(len(chosen) for _, chosen in update)
            if copies:
                copies.cast_weights()
            for name, chosen in update:
                of_task = tasks[name]
                for batch, weight in parts.of_batch(of_task.train, of_task.rows[chosen]):
                    with autocast(model.device, precision)():
                        loss = loss_per_row(copies or model, of_task.task, batch).sum() * (weight / n_rows)
                    loss.backward()
                    pace.add(name, loss.detach(), n_rows)
                if copies:
                    copies.cast_gradients()
            sum_up_gradient(model.encoder)
            all_reduce_gradients(model.parameters())
            torch.nn.utils.clip_grad_norm_(model.parameters(), optimization.global_grad_clipping)
            with model.updating({name for name, _ in update}, optimizer):
                optimizer.step()
            optimizer.zero_grad()
            logged = pace.count(scheduler.get_last_lr()[0], sum(lengths[name][chosen].sum() for name, chosen in update))
            scheduler.step()

            progress.batches = start + len(update)
            at_end = progress.batches == len(batches)
            if (logged or at_end) and checkpoints.due(0.1 if at_end else 1.0):
                pace.write(progress)
                checkpoints.save(scheduler.last_epoch, progress)
                pace.resume()

        pace.write(progress)
        evaluated, outputs = evaluate(model, data, machine.batch_size_eval, precision, parts.tokens)
        trained = describe_training(progress, tasks, f"epoch {epoch}")
        progress.end_epoch({"epoch": epoch, "step": epoch * updates_per_epoch, **trained, **evaluated})
        on_main_process(lambda: write_lines(files.metrics, progress.epochs))
        metrics, seconds = show_metrics(progress.epochs[-1], len(tasks)), trained["seconds"]
        log.info(
            "epoch %d/%d  loss %.4f  dev: %s  (%.1f s)", epoch, optimization.epochs, trained["loss"], metrics, seconds
        )

    put_unused_rows_back(model.encoder, decay_factors(scheduler, optimization, updates))
    return progress.epochs, outputs


def count_updates(data: Sequence[TaskData], optimization: OptimizationOptions) -> int:
    """Return the number of updates in an epoch."""
    batches = sum(math.ceil(len(of_task.rows) / optimization.batch_size) for of_task in data)
    return math.ceil(batches / optimization.grad_accumulation_step)


def describe_training(progress: Progress, tasks: Mapping[str, TaskData], when: str) -> dict[str, Any]:
    """Return what metrics.jsonl says of an epoch's training.

    Raises Diverged, which says `when`, where a loss is no number.
    """
    losses = {name: finite(loss / len(tasks[name].rows), f"{when}, {name}") for name, loss in progress.losses.items()}
    rows = sum(len(of_task.rows) for of_task in tasks.values())
    tokens = sum(int(of_task.train.lengths[of_task.rows].sum()) for of_task in tasks.values())
    by_task = {"loss_by_task": {name: round(loss, 6) for name, loss in losses.items()}} if len(losses) > 1 else {}
    return {
        "loss": round(sum(losses[name] * len(of_task.rows) for name, of_task in tasks.items()) / rows, 6),
        **by_task,
        "seconds": round(progress.seconds, 2),
        "tokens_per_second": round(tokens / progress.seconds),
    }


def write_lines(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    """Write a line of JSON per entry."""
    with write_whole(path) as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)
