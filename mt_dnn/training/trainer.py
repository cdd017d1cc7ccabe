"""Fine-tuning: one task or many; dense, pruned, gated or shared, it is the same loop."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn.metrics  # noqa: F401  evaluation needs it; loaded here, it does not count as time of the first one
import torch

from data_utils.json_file import write_json_lines
from mt_dnn.encoders.vocabulary import UsedRows, used_tokens
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model
from mt_dnn.run_config import config_as_it_is, refuse_begun_anew
from mt_dnn.run_folder import RunFolder
from mt_dnn.runtime.distributed import all_reduce_gradients, on_main_process
from mt_dnn.runtime.log import log, progress_bar
from mt_dnn.runtime.machine import autocast
from mt_dnn.training.bfloat16 import Bfloat16Copies
from mt_dnn.training.checkpoint import Checkpoints, Progress
from mt_dnn.training.divergence import finite_loss
from mt_dnn.training.evaluate import evaluate, show_metrics
from mt_dnn.training.micro_batches import MicroBatches, choose_tokens_at_once
from mt_dnn.training.optim import WEIGHT_BY_WEIGHT, decay_of, make_optimizer, make_scheduler
from mt_dnn.training.pace import Pace
from mt_dnn.training.task_data import TaskData
from mt_dnn.training.updates import Update, updates_of_epoch


def fine_tune(
    model: Model,
    data: Sequence[TaskData],
    optimization: OptimizationOptions,
    machine: MachineOptions,
    precision: str,
    seed: int,
    files: RunFolder,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Train `model` on `data`, evaluate dev sets and held-out rows, write a line per epoch to `files.metrics`.

    A batch has rows of one task; the tasks' batches are mixed. Several processes share the rows of every batch and make
    the updates that one process would make.

    A training that was stopped resumes from the newest checkpoint in `files.checkpoints`. On a CPU it ends with exactly
    the weights and outputs that it would have had.

    Some lines save time and change nothing but rounding and dropout's random numbers: batches are computed in parts
    (micro_batches.py), the layers' weights are cast once per update (bfloat16.py), rows of the embedding table that no
    text uses are left out of training (vocabulary.py). With `machine.plain` they do nothing.

    `precision`: "bfloat16" or "float32", of the encoder's layers. `seed` decides the order of the rows; torch's random
    numbers, which decide dropout, are to be seeded before.

    Returns (epochs, as they are in `files.metrics`; {dev set: outputs after the last epoch, (rows, outputs) float32}).
    Raises Diverged when the loss, or an output for a dev row, is no longer a number, FailedInAllProcesses where the
    checkpoint is not one of such a training, and UserError if the run's folder was removed or begun anew meanwhile.
    """
    tokens = choose_tokens_at_once(machine.tokens_at_once, model.device, machine.plain)
    micro_batches = MicroBatches.for_model(model, precision, tokens)
    cast_model = Bfloat16Copies(model, enabled=precision == "bfloat16" and not machine.plain)
    table = None if machine.plain else leave_out_unused_rows(model, data, optimization.optimizer)
    optimizer = make_optimizer(model, optimization)
    n_updates = optimization.epochs * len(updates_of_epoch(data, optimization, seed, epoch=1))
    scheduler = make_scheduler(optimizer, n_updates, optimization.warmup)
    checkpoints = Checkpoints(files.checkpoints, machine.checkpoint_minutes, model, optimizer, scheduler)
    config = on_main_process(lambda: config_as_it_is(files))
    progress = checkpoints.restore()
    tasks = [task_data.task.name for task_data in data]
    pace = Pace(n_updates, optimization.epochs, machine.log_per_updates, scheduler.last_epoch, tasks, model.device)
    outputs = {}

    for epoch in range(len(progress.epochs) + 1, optimization.epochs + 1):
        model.train()
        pace.start_epoch(epoch, progress)
        updates = updates_of_epoch(data, optimization, seed, epoch)
        done = math.ceil(progress.batches / optimization.grad_accumulation_step)  # the last update may have fewer
        for update in progress_bar(updates[done:], desc=f"epoch {epoch}", unit="update"):
            with pace.clock:
                losses = compute_gradients(update, cast_model, micro_batches, precision)
                if table is not None:
                    table.make_gradient_dense()
                all_reduce_gradients(model.parameters())
                torch.nn.utils.clip_grad_norm_(model.parameters(), optimization.global_grad_clipping)
                with model.updating(update.tasks, optimizer):
                    optimizer.step()
                optimizer.zero_grad()
            logged = pace.count(update, losses, float(scheduler.get_last_lr()[0]))
            scheduler.step()

            progress.batches += len(update.batches)
            at_end = update is updates[-1]
            if logged or at_end:
                pace.put_into(progress)  # before due(), where processes wait: that time does not count
                if checkpoints.due(at_end):
                    on_main_process(lambda: refuse_begun_anew(files, config))
                    checkpoints.save(scheduler.last_epoch, progress)

        evaluated = {}
        if epoch % machine.evaluate_every == 0 or epoch == optimization.epochs:
            evaluated, outputs = evaluate(
                model, data, machine.batch_size_eval, precision, tokens, when=f"epoch {epoch}"
            )
        trained = describe_training(progress, updates, f"epoch {epoch}")
        progress.end_epoch({"epoch": epoch, "step": scheduler.last_epoch, **trained, **evaluated})
        on_main_process(lambda: refuse_begun_anew(files, config))
        on_main_process(lambda: write_json_lines(files.metrics, progress.epochs))
        log_epoch(progress.epochs[-1], optimization.epochs, len(data))

    if table is not None:
        table.put_back(model.encoder, decay=decay_of(scheduler, optimization, n_updates))
    return progress.epochs, outputs


def leave_out_unused_rows(model: Model, data: Sequence[TaskData], optimizer: str) -> UsedRows:
    """Put UsedRows in the place of the model's embedding table, without the rows that no text of `data` uses.

    Only the optimizers of WEIGHT_BY_WEIGHT leave rows out. The gradient is summed up once per update in any case.
    """
    splits, size = [split for task_data in data for split in task_data.splits], model.encoder.config.vocab_size
    used = used_tokens(splits, size) if optimizer in WEIGHT_BY_WEIGHT else np.ones(size, bool)
    return UsedRows.put_in(model.encoder, used)


def compute_gradients(
    update: Update, cast_model: Bfloat16Copies, micro_batches: MicroBatches, precision: str
) -> list[tuple[str, torch.Tensor]]:
    """Sum up the gradients of this process's part of an update; return (task's name, loss) of every micro-batch.

    A micro-batch's loss is the sum over its rows, divided by the number of rows of the update. So these losses, and
    their gradients, sum up to those of the mean over the update's rows.
    """
    losses = []
    cast_model.cast_weights()
    for task_data, rows in update.batches:
        for batch, weight in micro_batches.of_batch(task_data.train, rows):
            # `weight`: 1, or 0 in a process that got no row of the batch.
            with autocast(micro_batches.device, precision):
                loss = loss_per_row(cast_model, task_data.task, batch).sum() * (weight / update.n_rows)
            loss.backward()
            losses.append((task_data.task.name, loss.detach()))
        cast_model.cast_gradients()
    return losses


def describe_training(progress: Progress, updates: Sequence[Update], when: str) -> dict[str, Any]:
    """Return what metrics.jsonl says of the training of an epoch that had these `updates`.

    Raises Diverged if a loss is NaN or infinite. `when`: starts the message.
    """
    rows = Counter[str]()
    for task_data, batch in itertools.chain.from_iterable(update.batches for update in updates):
        rows[task_data.task.name] += len(batch)
    tokens = sum(update.n_tokens for update in updates)
    losses = {name: finite_loss(loss / rows[name], f"{when}, {name}") for name, loss in progress.losses.items()}
    by_task = {"loss_by_task": {name: round(loss, 6) for name, loss in losses.items()}} if len(losses) > 1 else {}
    return {
        "loss": round(sum(losses[name] * rows[name] for name in rows) / rows.total(), 6),
        **by_task,
        "seconds": round(progress.seconds, 3),
        "tokens_per_second": round(tokens / progress.seconds),
    }


def log_epoch(entry: dict[str, Any], epochs: int, n_tasks: int) -> None:
    """Log the end of an epoch, one of `epochs`; `entry` is what metrics.jsonl says of it."""
    evaluated = f"dev: {show_metrics(entry, n_tasks)}" if "dev" in entry else "not evaluated"
    progress = f"epoch {entry['epoch']}/{epochs}  loss {entry['loss']:.4f}"
    log.info(f"{progress}  {evaluated}  ({entry['seconds']:.1f} s)")
