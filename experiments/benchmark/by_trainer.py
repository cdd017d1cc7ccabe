"""The same work by transformers.Trainer: BertForSequenceClassification, the same rows, the same batch size."""

import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
import transformers
from limit import wait
from made_up import make_config, make_tokenizer
from torch.utils.data import Dataset, Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from data_utils.tokenized import TokenizedSplit

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


class Examples(Dataset):
    """Rows of a split as Trainer takes them."""

    def __init__(self, split: TokenizedSplit, rows: Iterable[int]) -> None:
        batches = [split.batch(np.array([row])) for row in rows]
        self.examples = [
            {
                "input_ids": batch["input_ids"][0].tolist(),
                "token_type_ids": batch["token_type_ids"][0].tolist(),
                "attention_mask": [1] * batch["input_ids"].shape[1],
                "labels": int(batch["labels"]),
            }
            for batch in batches
        ]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.examples[row]


class ByTrainer:
    """The same work by transformers.Trainer.

    `best`: bfloat16 where the hardware has it, and batches of rows of similar length; otherwise the Trainer's defaults.
    The optimizer is the Trainer's default in both cases: fused AdamW.
    """

    def __init__(
        self, shape: str, split: TokenizedSplit, device: torch.device, precision: str, best: bool, batch_size: int
    ) -> None:
        self.model = transformers.BertForSequenceClassification(make_config(shape))
        self.split, self.tokenizer, self.device = split, make_tokenizer(), device
        self.best, self.batch_size = best, batch_size
        self.bfloat16 = best and precision == "bfloat16"

    def _trainer(self, rows: np.ndarray, folder: str, seed: int = 0) -> tuple[transformers.Trainer, Examples]:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=self.batch_size,
            per_device_eval_batch_size=64,
            num_train_epochs=1,
            seed=seed,
            bf16=self.bfloat16,
            use_cpu=self.device.type == "cpu",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        examples = Examples(self.split, rows)
        trainer = transformers.Trainer(
            self.model,
            arguments,
            train_dataset=examples,
            callbacks=[_Clock(self.device)],
            data_collator=transformers.DataCollatorWithPadding(self.tokenizer),
        )
        trainer.remove_callback(transformers.PrinterCallback)
        if self.best:  # as its group_by_length does; said this way it works in every version
            order = get_length_grouped_indices(
                [len(example["input_ids"]) for example in examples.examples], self.batch_size, mega_batch_mult=len(rows)
            )
            trainer._get_train_sampler = lambda train_dataset=None: _InOrder(order)
        return trainer, examples

    def fine_tune(self, rows: np.ndarray) -> float:
        """Return the seconds of training on `rows` once, without what comes before the first batch."""
        with tempfile.TemporaryDirectory() as folder:
            trainer, _ = self._trainer(rows, folder)
            trainer.train()
            return next(
                callback for callback in trainer.callback_handler.callbacks if isinstance(callback, _Clock)
            ).seconds

    def evaluate(self, rows: np.ndarray) -> float:
        """Return the seconds that the outputs of `rows` take."""
        with tempfile.TemporaryDirectory() as folder:
            trainer, examples = self._trainer(rows, folder)
            started = time.perf_counter()
            trainer.predict(examples)
            wait(self.device)
            return time.perf_counter() - started


class _InOrder(Sampler[int]):
    """Takes rows in a given order."""

    def __init__(self, order: list[int]) -> None:
        self.order = order

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)


class _Clock(transformers.TrainerCallback):
    """Takes the time of a training, from its first batch to its last."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        wait(self.device)
        self.started = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        wait(self.device)
        self.seconds = time.perf_counter() - self.started
