"""The training loop: one task or many; dense, pruned, gated or shared, it is the same loop."""

import json
import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from data_utils.batches import mixed_batches, sorted_batches
from data_utils.errors import Diverged
from data_utils.files import write_whole
from data_utils.metrics import average_score
from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.config import advice
from mt_dnn.encoders.vocabulary import UsedRows, used_tokens
from mt_dnn.loss import loss_per_row
from mt_dnn.runtime.distributed import (
    all_reduce_sum,
    data_parallel,
    gradient_sync,
    is_main_process,
    on_main_process,
    shard,
    world_size,
)
from mt_dnn.runtime.log import log, progress_bar
from mt_dnn.runtime.machine import choose_tokens_at_once, to_device
from mt_dnn.training.checkpoint import Checkpoints
from mt_dnn.training.evaluate import measure, predict
from mt_dnn.training.optim import decays, make_optimizer, make_schedule


@dataclass
class Data:
    """What one task is trained and evaluated on: `rows` (indices) of the split `train`, dev sets by name, and the part
    of the training split that is held out, if any."""

    task: Task
    train: TokenizedSplit
    rows: np.ndarray
    dev: dict
    held_out: TokenizedSplit | None = None


def fine_tune(model, data, optimization, machine, precision, seed, files):
    """Train `model` on `data`, a list of Data, evaluate every dev set after every epoch, write a line per epoch to `files.metrics`.

    A training that was stopped goes on from the newest checkpoint in `files.checkpoints`, and on a CPU ends
    with exactly the weights and outputs that it would have had.

    A batch has rows of one task; the tasks' batches are mixed. Several processes share the rows of every
    batch, so that the updates are those of one process.

    `optimization`, `machine`: the options; `precision`: from machine.autocast(). The order of the rows comes
    from `seed`; torch's random numbers (dropout) are to be seeded before.

    Returns (list of epochs, as written; {dev set: outputs after the last epoch}).
    Raises Diverged when the loss is no longer a number.
    """
    return _Training(model, data, optimization, machine, precision, seed, files).run()


class _Training:
    """What the steps of one call of fine_tune share."""

    def __init__(self, model, data, optimization, machine, precision, seed, files):
        self.model, self.precision, self.seed, self.files = model, precision, seed, files
        self.data = {own.task.name: own for own in data}
        self.optimization, self.machine = optimization, machine
        self.device = next(model.parameters()).device
        self.tokens = choose_tokens_at_once(machine.tokens_at_once, self.device)
        embeddings = model.encoder.embeddings
        splits = [split for own in data for split in (own.train, *own.dev.values(), own.held_out) if split]
        embeddings.word_embeddings = UsedRows(
            embeddings.word_embeddings, used_tokens(splits, embeddings.word_embeddings.num_embeddings)
        )
        self.lengths = {name: own.train.lengths[own.rows] for name, own in self.data.items()}
        self.optimizer = make_optimizer(model, optimization)
        batches = sum(math.ceil(len(own.rows) / optimization.batch_size) for own in data)
        self.updates_per_epoch = math.ceil(batches / optimization.grad_accumulation_step)
        self.schedule = make_schedule(self.optimizer, self.updates_per_epoch * optimization.epochs, optimization.warmup)
        self.checkpoints = Checkpoints(
            files.checkpoints, machine.checkpoint_minutes, model, self.optimizer, self.schedule
        )
        self.progress = self.checkpoints.restore()
        self.pace = _Pace(
            self.updates_per_epoch, optimization.epochs, machine.log_per_updates, self.schedule.last_epoch
        )
        self.parallel = data_parallel(model, len(data))

    def run(self):
        """Do the epochs that are left; return all of them, and the outputs after the last."""
        done, of = self.progress.epochs, self.optimization.epochs
        for epoch in range(len(done) + 1, of + 1):
            losses = self.train(epoch)
            trained = {"epoch": epoch, "step": epoch * self.updates_per_epoch, **self.describe(losses)}
            evaluated, outputs = self.evaluate()
            done.append({**trained, **evaluated})
            self.progress.start_epoch()
            on_main_process(lambda: _write_lines(self.files.metrics, done))
            log.info(
                "epoch %d/%d  loss %.4f  dev: %s  (%.1f s)",
                epoch,
                of,
                done[-1]["loss"],
                show_metrics(done[-1], len(self.data)),
                done[-1]["seconds"],
            )
        self.put_back_unused_rows()
        return done, outputs

    def put_back_unused_rows(self):
        """Make the embedding table whole again: what no text uses has decayed in every update."""
        embeddings, updates = self.model.encoder.embeddings, self.updates_per_epoch * self.optimization.epochs
        embeddings.word_embeddings = embeddings.word_embeddings.put_back(
            decays(self.schedule, self.optimization, updates)
        )

    def train(self, epoch):
        """Train from where the progress is to the epoch's end; return {task name: mean loss over its rows}."""
        batches = mixed_batches(self.lengths, self.optimization.batch_size, self.seed, epoch)
        summed = {
            name: torch.tensor(self.progress.losses.get(name, 0.0) * is_main_process(), device=self.device)
            for name in self.data
        }
        self.model.train()
        self.pace.resume()
        started = time.perf_counter() - self.progress.seconds
        with progress_bar(
            desc=f"epoch {epoch}", total=len(batches), initial=self.progress.batches, unit="batch"
        ) as bar:
            for first in range(self.progress.batches, len(batches), self.optimization.grad_accumulation_step):
                group = batches[first : first + self.optimization.grad_accumulation_step]
                rate, loss = self.schedule.get_last_lr()[0], self.update(group, summed)
                bar.update(len(group))
                logged = self.pace.count(
                    epoch, loss, rate, sum(int(self.lengths[name][chosen].sum()) for name, chosen in group)
                )
                done = first + len(group)
                if done == len(batches) or (logged and self.checkpoints.due()):
                    self.progress.batches, self.progress.seconds = done, time.perf_counter() - started
                    self.progress.losses = {name: float(all_reduce_sum(loss.clone())) for name, loss in summed.items()}
                    if self.checkpoints.due(
                        0.1
                    ):  # not after every epoch of some seconds, as a large model's checkpoint takes as long
                        self.checkpoints.save(self.schedule.last_epoch, self.progress)
                    self.pace.resume()
                    started = time.perf_counter() - self.progress.seconds
        return {
            name: _finite(loss / len(self.data[name].rows), f"epoch {epoch}, {name}")
            for name, loss in self.progress.losses.items()
        }

    def update(self, group, summed):
        """Update the weights by a group of batches, [(task name, rows)]; add each task's loss to `summed`; return this process's part of their mean loss."""
        n_rows, loss = sum(len(chosen) for _, chosen in group), 0.0
        parts = [part for name, chosen in group for part in self.parts(self.data[name], self.lengths[name], chosen)]
        for i, (own, rows, weight) in enumerate(parts):
            with gradient_sync(self.parallel, now=i + 1 == len(parts)):
                part = self.backward(own, rows, weight / n_rows)
            summed[own.task.name] += part * n_rows
            loss = loss + part
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.optimization.global_grad_clipping)
        with self.model.updating({name for name, _ in group}, self.optimizer):
            self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.step()
        return loss

    def parts(self, own, lengths, chosen):
        """Return this process's share of a batch, the rows `chosen` of a task, as parts that are computed at once: [(data, rows of the split, weight)].

        A process without a row takes another's at weight 0, as all must take part.
        """
        mine = shard(chosen)
        rows, weight = (mine, 1.0) if len(mine) else (chosen[:1], 0.0)
        return [(own, own.rows[rows[part]], weight) for part in sorted_batches(lengths[rows], len(rows), self.tokens)]

    def backward(self, own, rows, weight):
        """Add the gradient of the loss, summed over `rows` of the task's split and times `weight`; return that loss."""
        batch = to_device(own.train.batch(rows), self.device)
        with self.precision():
            loss = loss_per_row(self.parallel, own.task, batch).sum() * weight
        (loss * world_size()).backward()  # the processes' gradients are averaged, not added up
        return loss.detach()

    def describe(self, losses):
        """Return what metrics.jsonl tells of an epoch's training."""
        tokens, seconds = sum(int(lengths.sum()) for lengths in self.lengths.values()), self.progress.seconds
        loss = sum(losses[name] * len(own.rows) for name, own in self.data.items()) / sum(
            len(own.rows) for own in self.data.values()
        )
        by_task = {"loss_by_task": {name: round(value, 6) for name, value in losses.items()}} if len(losses) > 1 else {}
        return {
            "loss": round(loss, 6),
            **by_task,
            "seconds": round(seconds, 2),
            "tokens_per_second": round(tokens / seconds),
        }

    def evaluate(self):
        """Return (what metrics.jsonl tells of the evaluation, {dev set: outputs})."""
        started, outputs, dev, held_out = time.perf_counter(), {}, {}, {}
        for name, own in self.data.items():
            outputs |= {dev_set: self.predict(own.task, split) for dev_set, split in own.dev.items()}
            dev[name] = {dev_set: measure(own.task, split, outputs[dev_set]) for dev_set, split in own.dev.items()}
            if own.held_out:
                held_out[name] = measure(own.task, own.held_out, self.predict(own.task, own.held_out))
        return {
            "dev": {dev_set: metrics for own in dev.values() for dev_set, metrics in own.items()},
            "average_score": average_score(dev),
            **({"held_out": held_out} if held_out else {}),
            "seconds_evaluating": round(time.perf_counter() - started, 2),
        }, outputs

    def predict(self, task, split):
        return predict(self.model, task, split, self.machine.batch_size_eval, self.precision, self.tokens)


def _write_lines(path, entries):
    with write_whole(path) as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


def show_metrics(epoch, tasks=1):
    """{"dev": {"rte": {"accuracy": 0.61}}, ...} -> "rte accuracy 61.00", and the average score of several tasks."""

    def show(by_name):
        return [
            f"{name} " + ", ".join(f"{metric} {100 * value:.2f}" for metric, value in values.items())
            for name, values in by_name.items()
        ]

    held_out = [f"held out: {'; '.join(show(epoch['held_out']))}"] if "held_out" in epoch else []
    return "; ".join(
        show(epoch["dev"]) + [f"average score {100 * epoch['average_score']:.2f}"] * (tasks > 1) + held_out
    )


class _Pace:
    """A line of the log every so many updates: loss since the last line, rate, tokens per second, time left."""

    def __init__(self, updates_per_epoch, epochs, every, done):
        self.updates, self.epochs, self.every = updates_per_epoch * epochs, epochs, every
        self.first, self.done, self.busy = done, done, 0.0  # the first `done` updates were another process's
        self._start_line()

    def _start_line(self):
        self.seconds, self.tokens, self.losses = 0.0, 0, []

    def resume(self):
        """Start the clock; what happened between the last update and this call (an evaluation) does not count."""
        self.clock = time.perf_counter()

    def count(self, epoch, loss, rate, tokens):
        """Count an update; return whether it brought a line."""
        self.done += 1
        self.tokens += tokens
        self.losses.append(loss)
        self.seconds += time.perf_counter() - self.clock
        self.resume()
        if self.done % self.every and self.done != self.updates:
            return False
        loss = _finite(all_reduce_sum(torch.stack(self.losses).mean()), f"update {self.done}")
        self.busy += self.seconds
        left = round(self.busy / (self.done - self.first) * (self.updates - self.done))
        log.info(
            "epoch %d/%d  update %d/%d  loss %.4f  rate %.2e  %s tokens/s  %d:%02d left",
            epoch,
            self.epochs,
            self.done,
            self.updates,
            loss,
            rate,
            f"{self.tokens / self.seconds:,.0f}",
            left // 60,
            left % 60,
        )
        self._start_line()
        return True


def _finite(loss, when):
    value = float(loss)
    if not math.isfinite(value):
        raise Diverged(
            f"{when}: the loss is {value}, expected a number; try a smaller {advice('--learning_rate')} "
            f"or {advice('--precision float32')}"
        )
    return value
