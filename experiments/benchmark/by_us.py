"""The measured work of this repository: fine-tuning, rewinding, scoring and evaluating on rows of a made-up split."""

import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from limit import wait
from made_up import make_encoder, make_task

from data_utils.run_folder import RunFolder
from data_utils.tasks import Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.model import Model, place_tickets
from mt_dnn.runtime.machine import choose_tokens_at_once
from mt_dnn.tickets.criteria import TaskRows, score
from mt_dnn.tickets.ticket import DENSE, Ticket, choose, counts_at
from mt_dnn.training.evaluate import predict
from mt_dnn.training.task_data import TaskData
from mt_dnn.training.trainer import fine_tune


class ByUs:
    """An encoder of that shape on a device; every call takes fresh copies of it."""

    def __init__(
        self, shape: str, split: TokenizedSplit, device: torch.device, precision: str, batch_size: int
    ) -> None:
        self.encoder, self.split, self.device, self.batch_size = make_encoder(shape), split, device, batch_size
        self.precision, self.tokens = precision, choose_tokens_at_once(0, device)

    def ticket(self, sparsity: str, seed: int = 0) -> Ticket:
        """Return a random ticket at a sparsity, such as "0.5"."""
        config, rng = self.encoder.config, np.random.default_rng(seed)
        layers, heads = config.num_hidden_layers, config.num_attention_heads
        return choose(rng.random((layers, heads)), rng.random(layers), *counts_at(sparsity, layers, heads))

    def _model(self, tickets: dict[str, Ticket]) -> Model:
        model = Model(copy.deepcopy(self.encoder), [make_task(name) for name in tickets])
        model.draw_heads(0)
        return place_tickets(model.to(self.device), tickets)

    def fine_tune(self, rows: np.ndarray, ticket: Ticket = DENSE, optimizer: str = "adamax") -> float:
        """Return the seconds of training on `rows` once."""
        return self.fine_tune_many({"task": (rows, ticket)}, optimizer)

    def fine_tune_many(self, tasks: dict[str, tuple[np.ndarray, Ticket]], optimizer: str = "adamax") -> float:
        """Return the seconds of training several tasks in one encoder, {name: (rows, ticket)}, once."""
        model = self._model({name: ticket for name, (_, ticket) in tasks.items()})
        data = [
            TaskData(make_task(name), self.split, np.asarray(rows), {name: self.split.part(rows[:1])})
            for name, (rows, _) in tasks.items()
        ]
        with tempfile.TemporaryDirectory() as folder:
            options = OptimizationOptions(epochs=1, batch_size=self.batch_size, optimizer=optimizer)
            epochs, _ = fine_tune(model, data, options, MachineOptions(), self.precision, 0, RunFolder(Path(folder)))
        return epochs[0]["seconds"]

    def evaluate(self, rows: np.ndarray) -> float:
        """Return the seconds that the outputs of `rows` take."""
        return self._timed(
            lambda model, task: predict(model, task, self.split.part(rows), 64, self.precision, self.tokens)
        )

    def forward(self, rows: np.ndarray) -> float:
        """Return the seconds of a forward pass over `rows` with the batches and the precision that importance has."""
        return self._timed(
            lambda model, task: predict(model, task, self.split.part(rows), self.batch_size, "float32", self.tokens),
        )

    def score(self, rows: np.ndarray) -> float:
        """Return the seconds of scoring all heads and FFNs on `rows`."""
        return self._timed(
            lambda model, task: score(
                model, TaskRows(task, self.split, np.asarray(rows), self.batch_size, self.tokens), "example"
            ),
        )

    def _timed(self, work: Callable[[Model, Task], object]) -> float:
        model, task = self._model({"task": DENSE}), make_task("task")
        wait(self.device)
        started = time.perf_counter()
        work(model, task)
        wait(self.device)
        return time.perf_counter() - started
