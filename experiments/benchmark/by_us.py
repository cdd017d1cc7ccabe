"""The measured work of this repository, by its commands: fine-tuning, rewinding, importance, evaluation.

Every command is a process of its own, as for a user. So what only the first batches cost counts, and nothing is left
over from other work: oneDNN's kernels for every shape of batch that comes up, and memory.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PretrainedConfig

from experiments.benchmark.commands import ROOT, timed
from experiments.benchmark.made_up import make_encoder, make_tokenizer, write_texts
from mt_dnn.model import model_entry
from mt_dnn.tickets.masks import Mask, write_mask
from mt_dnn.tickets.ticket import Ticket, choose, counts_at

Measured = dict[str, Any]  # "work", "precision", "seconds", "tokens", "peak_mb"
TASK = "task"
SPARSITIES = ("0.2", "0.5", "0.8")


@dataclass(frozen=True)
class ByUs:
    """An encoder and a task in `folder`, and the checkout of this repository whose commands are measured.

    `tickets`: {sparsity: ticket}. `tokens`, `dev_tokens`: of all training and dev rows.
    """

    folder: Path
    device: str
    tickets: dict[str, Ticket]
    tokens: int
    dev_tokens: int
    checkout: Path = ROOT

    @classmethod
    def prepare(
        cls, folder: Path, shape: str, lengths: np.ndarray, dev_lengths: np.ndarray, device: str, checkout: Path
    ) -> "ByUs":
        """Write an encoder of that shape, rows of these lengths (in tokens), and masks; tokenize the rows."""
        encoder = make_encoder(shape)
        encoder.save_pretrained(folder / "encoder")
        make_tokenizer().save_pretrained(folder / "encoder")
        write_texts(folder, TASK, lengths, dev_lengths)
        encoder.config.name_or_path = "encoder"
        tickets = {sparsity: random_ticket(encoder.config, sparsity) for sparsity in SPARSITIES}
        for sparsity, ticket in tickets.items():
            write_mask(folder / f"masks/{sparsity}.json", Mask("random", model_entry(encoder), {TASK: ticket}, {}))
        ours = cls(folder, device, tickets, int(lengths.sum()), int(dev_lengths.sum()), checkout)
        timed("prepro.py", "--raw_dir", folder, *ours._data(), checkout=checkout)
        return ours

    def fine_tune(self, precision: str, optimizer: str, with_evaluation: bool = False) -> list[Measured]:
        """Fine-tune for one epoch by train.py, and evaluate. `with_evaluation`: return the evaluation, too."""
        output = self.folder / f"{precision}_{optimizer}"
        _, peak = self._train(precision, output, "--do_train", "--optimizer", optimizer)
        (epoch,) = _lines(output / "metrics.jsonl")
        training = self._measured(f"fine-tuning, {optimizer}", precision, epoch["seconds"], self.tokens, peak)
        evaluation = self._measured("evaluation", precision, epoch["seconds_evaluating"], self.dev_tokens, peak)
        return [training, evaluation] if with_evaluation else [training]

    def score(self) -> list[Measured]:
        """Score heads and FFNs of what fine_tune("float32", "adamax") left; it is done in float32 in any case."""
        output = self.folder / "float32_adamax"
        _, peak = self._train("float32", output, "--do_mask")
        (seconds,) = re.findall(r"importance .* \(([0-9.]+) s\)", (output / "log.txt").read_text())
        return [self._measured("importance", "float32", float(seconds), self.tokens, peak)]

    def rewind(self, precision: str) -> list[Measured]:
        """Rewind the tickets for one epoch each, in one process, as a sweep does."""
        output, measured = self.folder / f"{precision}_rewind", []
        masks = ("--masks", self.folder / "masks", "--output_dir", output)
        _, peak = timed("rewind.py", *masks, *self._how(precision), checkout=self.checkout)
        for sparsity, ticket in self.tickets.items():
            heads, ffns = ticket.counts
            (metrics,) = output.glob(f"random/heads_{heads}_ffns_{ffns}/*/metrics.jsonl")
            (epoch,) = _lines(metrics)
            measured.append(self._measured(f"rewinding at {sparsity}", precision, epoch["seconds"], self.tokens, peak))
        return measured

    def by_trainer(self, precision: str) -> list[Measured]:
        """The same rows by transformers.Trainer: by_trainer.py."""
        output = self.folder / f"{precision}_trainer.json"
        how = ("--output", output, "--precision", precision, "--device", self.device, "--task", TASK)
        _, peak = timed("-m", "experiments.benchmark.by_trainer", *how, *self._data())
        seconds = json.loads(output.read_text())
        return [
            self._measured("fine-tuning, Trainer", precision, seconds["fine-tuning"], self.tokens, peak),
            self._measured("evaluation, Trainer", precision, seconds["evaluation"], self.dev_tokens, peak),
        ]

    def _train(self, precision: str, output: Path, *more: str) -> tuple[float, float]:
        return timed("train.py", "--output_dir", output, *more, *self._how(precision), checkout=self.checkout)

    def _how(self, precision: str) -> tuple[object, ...]:
        task = ("--train_datasets", TASK, "--epochs", 1)
        return *task, *self._data(), "--precision", precision, "--device", self.device

    def _data(self) -> tuple[object, ...]:
        data = ("--data_dir", self.folder / "tokenized", "--task_def", self.folder / f"{TASK}.yml")
        return *data, "--init_checkpoint", self.folder / "encoder"

    def _measured(self, work: str, precision: str, seconds: float, tokens: int, peak: float) -> Measured:
        return {
            "work": work,
            "precision": precision,
            "seconds": seconds,
            "tokens": tokens,
            "peak_mb": round(peak),
        }


def random_ticket(config: PretrainedConfig, sparsity: str, seed: int = 0) -> Ticket:
    """Return a random ticket at a sparsity, such as "0.5"."""
    layers, heads, rng = config.num_hidden_layers, config.num_attention_heads, np.random.default_rng(seed)
    return choose(rng.random((layers, heads)), rng.random(layers), *counts_at(sparsity, layers, heads))


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
