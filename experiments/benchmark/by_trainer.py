"""The same work by transformers.Trainer at its best: the same encoder, rows and batch size; called by by_us.py.

At its best means batches of rows of similar length, bfloat16 where it is asked for, and its default optimizer, fused
AdamW.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.utils.data import Dataset, SequentialSampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from data_utils.batches import POOL
from data_utils.json_file import write_json
from data_utils.tasks import read_tasks
from data_utils.tokenized import TokenizedSplit, read_split
from experiments.benchmark.limit import wait

BATCH_SIZE, BATCH_SIZE_EVAL = 32, 64  # train.py's defaults


class Examples(Dataset):
    """Rows of a split as Trainer takes them."""

    def __init__(self, split: TokenizedSplit, rows: np.ndarray) -> None:
        batches = [split.batch(rows[place : place + 1]) for place in range(len(rows))]
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


class _Clock(transformers.TrainerCallback):
    """Measures the training, without what comes before its first batch."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def on_train_begin(self, *_: object, **__: object) -> None:
        wait(self.device)
        self.started = time.perf_counter()

    def on_train_end(self, *_: object, **__: object) -> None:
        wait(self.device)
        self.seconds = time.perf_counter() - self.started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data_dir", "task_def", "task", "init_checkpoint", "precision", "device", "output"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    # One GPU, as train.py takes: Trainer would take all, and a batch for each.
    os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    task = read_tasks(options.task_def)[options.task]
    train, dev = (read_split(options.data_dir, task, split) for split in ("train", "dev"))
    model = transformers.BertForSequenceClassification.from_pretrained(options.init_checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=BATCH_SIZE_EVAL,
            num_train_epochs=1,
            bf16=options.precision == "bfloat16",
            use_cpu=options.device == "cpu",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        # As Trainer's group_by_length does, in pools as large as train.py's; said this way it works in every version.
        order = get_length_grouped_indices(train.lengths.tolist(), BATCH_SIZE, mega_batch_mult=POOL)
        in_order, clock = Examples(train, np.array(order)), _Clock(arguments.device)
        trainer = transformers.Trainer(
            model,
            arguments,
            train_dataset=in_order,
            callbacks=[clock],
            data_collator=transformers.DataCollatorWithPadding(
                transformers.AutoTokenizer.from_pretrained(options.init_checkpoint)
            ),
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer._get_train_sampler = lambda train_dataset=None: SequentialSampler(in_order)
        trainer.train()
        shortest_first = Examples(dev, np.argsort(dev.lengths, kind="stable"))
        started = time.perf_counter()
        trainer.predict(shortest_first)
        wait(arguments.device)
        write_json(Path(options.output), {"fine-tuning": clock.seconds, "evaluation": time.perf_counter() - started})


if __name__ == "__main__":
    main()
