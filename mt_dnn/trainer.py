"""The training loop: dense, pruned or gated, it is the same loop."""

import functools
import json
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from data_utils.batches import training_batches
from data_utils.files import UserError, write_whole
from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.evaluate import measure, predict
from mt_dnn.log import log
from mt_dnn.optim import make_optimizer, make_schedule


def choose_device(name):
    """Return the torch device for --device; raise UserError where CUDA is asked for and there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is visible (see nvidia-smi and CUDA_VISIBLE_DEVICES), expected one, or --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def choose_precision(name, device):
    """Return "bfloat16" or "float32" for --precision; auto is bfloat16 where the hardware multiplies it natively."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if getattr(torch.cpu, "get_capabilities", dict)().get("amx_bf16") else "float32"


def autocast(device, precision):
    """Return a maker of contexts in which matrix products run in `precision`; weights stay float32."""
    return functools.partial(torch.autocast, device.type, torch.bfloat16, enabled=precision == "bfloat16")


@dataclass
class Data:
    """What one task is trained and evaluated on: `rows` (indices) of the split `train`, and dev sets by name."""

    task: Task
    train: TokenizedSplit
    rows: np.ndarray
    dev: dict


def fine_tune(model, data, optimization, machine, precision, seed, metrics_path):
    """Train `model` on `data`, evaluate every dev set after every epoch, write a line per epoch to `metrics_path`.

    `optimization`, `machine`: the options; `precision`: from autocast(). The order of the rows comes
    from `seed`; torch's random numbers (dropout) are to be seeded before.

    Returns (list of epochs, as written; {dev set: outputs after the last epoch}).
    Raises UserError when the loss is no longer a number.
    """
    optimizer = make_optimizer(model, optimization)
    updates_per_epoch = math.ceil(math.ceil(len(data.rows) / optimization.batch_size) / optimization.grad_accumulation_step)
    schedule = make_schedule(optimizer, updates_per_epoch * optimization.epochs, optimization.warmup)
    pace = _Pace(updates_per_epoch, optimization.epochs, machine.log_per_updates)
    epochs = []
    for epoch in range(1, optimization.epochs + 1):
        loss, seconds = _train_epoch(model, data, epoch, optimizer, schedule, optimization, precision, seed, pace)
        started = time.perf_counter()
        outputs = {name: predict(model, data.task, split, machine.batch_size_eval, precision) for name, split in data.dev.items()}
        dev = {name: measure(data.task, split, outputs[name]) for name, split in data.dev.items()}
        epochs.append({
            "epoch": epoch, "step": epoch * updates_per_epoch, "loss": round(loss, 6), "dev": dev, "seconds": round(seconds, 2),
            "tokens_per_second": round(int(data.train.lengths[data.rows].sum()) / seconds),
            "seconds_evaluating": round(time.perf_counter() - started, 2),
        })
        with write_whole(metrics_path) as file:
            file.writelines(json.dumps(line) + "\n" for line in epochs)
        log.info("epoch %d/%d  loss %.4f  dev: %s  (%.1f s)", epoch, optimization.epochs, loss, show_metrics(dev), seconds)
    return epochs, outputs


def show_metrics(dev):
    """{"rte": {"accuracy": 0.61}} -> "rte accuracy 61.00"."""
    return "; ".join(f"{name} " + ", ".join(f"{metric} {100 * value:.2f}" for metric, value in values.items()) for name, values in dev.items())


def _train_epoch(model, data, epoch, optimizer, schedule, optimization, precision, seed, pace):
    """Return (mean loss over the rows, seconds)."""
    device = next(model.parameters()).device
    started, summed = time.perf_counter(), torch.zeros((), device=device)
    lengths = data.train.lengths[data.rows]
    batches = training_batches(lengths, optimization.batch_size, seed, epoch)
    model.train()
    pace.resume()
    with tqdm(desc=f"epoch {epoch}", total=len(batches), unit="batch", disable=None, leave=False) as bar:
        for first in range(0, len(batches), optimization.grad_accumulation_step):
            group = batches[first : first + optimization.grad_accumulation_step]
            n_rows, rate, loss = sum(map(len, group)), schedule.get_last_lr()[0], 0.0
            for chosen in group:
                batch = {name: array.to(device, non_blocking=True) for name, array in data.train.batch(data.rows[chosen]).items()}
                with precision():
                    part = model.loss_per_row(data.task, batch).sum() / n_rows
                part.backward()
                loss = loss + part.detach()
            torch.nn.utils.clip_grad_norm_(model.parameters(), optimization.global_grad_clipping)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            summed += loss * n_rows
            bar.update(len(group))
            pace.count(epoch, loss, rate, sum(int(lengths[chosen].sum()) for chosen in group))
    return _finite(summed / len(data.rows), f"epoch {epoch}"), time.perf_counter() - started


class _Pace:
    """A line of the log every so many updates: loss since the last line, rate, tokens per second, time left."""

    def __init__(self, updates_per_epoch, epochs, every):
        self.updates, self.epochs, self.every = updates_per_epoch * epochs, epochs, every
        self.done, self.busy = 0, 0.0
        self._start_line()

    def _start_line(self):
        self.seconds, self.tokens, self.losses = 0.0, 0, []

    def resume(self):
        """Start the clock; what happened between the last update and this call (an evaluation) does not count."""
        self.clock = time.perf_counter()

    def count(self, epoch, loss, rate, tokens):
        self.done += 1
        self.tokens += tokens
        self.losses.append(loss)
        self.seconds += time.perf_counter() - self.clock
        self.resume()
        if self.done % self.every and self.done != self.updates:
            return
        loss = _finite(torch.stack(self.losses).mean(), f"update {self.done}")
        self.busy += self.seconds
        left = round(self.busy / self.done * (self.updates - self.done))
        log.info("epoch %d/%d  update %d/%d  loss %.4f  rate %.2e  %s tokens/s  %d:%02d left", epoch, self.epochs,
                 self.done, self.updates, loss, rate, f"{self.tokens / self.seconds:,.0f}", left // 60, left % 60)
        self._start_line()


def _finite(loss, when):
    value = float(loss)
    if not math.isfinite(value):
        raise UserError(f"{when}: the loss is {value}, expected a number; try a smaller --learning_rate or --precision float32")
    return value
