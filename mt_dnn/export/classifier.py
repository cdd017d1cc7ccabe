"""A trained model ready for texts, from a run's folder or any export of it."""

import dataclasses
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import transformers

from data_utils.errors import UserError
from data_utils.hub import load_tokenizer
from data_utils.tasks import Layout, Task
from data_utils.tokenize_split import write_split
from data_utils.tokenized import read_split
from data_utils.tsv import Row
from mt_dnn.encoders.encoder import TaskModel
from mt_dnn.encoders.families import max_positions
from mt_dnn.export.onnx import OnnxClassifier, load_onnx
from mt_dnn.export.saved_model import SavedModel, find_saved_model
from mt_dnn.export.zeroed import load_zeroed
from mt_dnn.model_files import load_model
from mt_dnn.runtime.device import choose_device
from mt_dnn.training.evaluate import predict
from mt_dnn.training.micro_batches import choose_tokens_at_once

BATCH_SIZE = 64

Answer = tuple[str, float] | float  # (label, its probability), or the value of a regression


def load_classifier(
    folder: str | Path, task: str | None = None, device: str = "auto", precision: str = "auto"
) -> "Classifier":
    """Load the model that a run (train.py; rewind.py with --save_model) or an export (mt_dnn.export) left in `folder`.

    `task`: the name of one of its tasks; may be left out where it has one. `device`: as --device. `precision`: float32,
    bfloat16, or auto, in which a run was evaluated, so that its dev rows get its dev predictions (an export:
    float32). In bfloat16 they may differ by rounding, if the run had other --batch_size_eval or --tokens_at_once.

    Raises UserError for a file that is missing, damaged, or does not fit the others, for a task that the model lacks,
    and for bfloat16 with an ONNX export.
    """
    return classifier_of(find_saved_model(folder), task, device, precision)


def classifier_of(
    saved: SavedModel, task: str | None = None, device: str = "auto", precision: str = "auto"
) -> "Classifier":
    """Load `saved` for one of its tasks: see load_classifier()."""
    chosen, folder = saved.task(task), saved.folder
    if saved.format == "onnx" and precision == "bfloat16":
        raise UserError(f"{folder}: an ONNX export computes in float32, expected --precision float32 or auto")
    model, tokenizer = load_saved(saved, choose_device(device)), load_tokenizer(folder, flag="")
    if not isinstance(model, OnnxClassifier):
        vocabulary, longest = model.encoder.config.vocab_size, max_positions(model.encoder)
        if len(tokenizer) > vocabulary or max(saved.max_seq_len.values()) > longest:
            raise UserError(
                f"{folder}: a tokenizer of {len(tokenizer)} tokens and rows of up to "
                f"{max(saved.max_seq_len.values())}, expected at most the encoder's {vocabulary} and {longest}"
            )
    precision = saved.precision if precision == "auto" else precision
    return Classifier(model, chosen, tokenizer, saved.max_seq_len[chosen.name], str(folder), precision)


def load_saved(saved: SavedModel, device: torch.device) -> TaskModel:
    """Load the weights of `saved` to `device`; an ONNX model always runs on the CPU. Call it with (task, batch)."""
    if saved.format == "tickets":
        return load_model(saved.folder, list(saved.tasks.values()), device=device)
    return load_zeroed(saved).to(device) if saved.format == "zeroed" else load_onnx(saved)


class Classifier:
    """A model for one task: call it with texts."""

    def __init__(
        self,
        model: TaskModel,
        task: Task,
        tokenizer: transformers.PreTrainedTokenizerBase,
        max_seq_len: int,
        name: str,
        precision: str,
    ) -> None:
        """`model`: from load_saved(); `max_seq_len`: the most tokens of a row, longer ones are cut; `name`: what an
        error calls it; `precision`: "float32" or "bfloat16"."""
        self.model, self.tokenizer, self.max_seq_len, self.name = model.eval(), tokenizer, max_seq_len, name
        self.precision = precision
        self.task = dataclasses.replace(task, splits={"input": Layout("", task.text_names, None, None)})

    def __call__(self, texts: str | Iterable[str | tuple[str, ...]]) -> list[Answer]:
        """Return [(label, its probability)], or for a regression [value], for `texts`: sentences, or pairs of them.

        Raises ValueError for another number of sentences than the task has, UserError if an output is NaN or infinite.
        """
        rows = [
            Row((text,) if isinstance(text, str) else tuple(text), None)
            for text in ([texts] if isinstance(texts, str) else texts)
        ]
        names = self.task.text_names
        if any(len(row.texts) != len(names) for row in rows):
            raise ValueError(f"each text of '{self.task.name}' is {' and '.join(names)}, expected as many sentences")
        return self.answers(rows) if rows else []

    def for_task(self, task: Task, max_seq_len: int) -> "Classifier":
        """Return a Classifier for another task of the same model."""
        return Classifier(self.model, task, self.tokenizer, max_seq_len, self.name, self.precision)

    def answers(self, rows: Iterable[Row]) -> list[Answer]:
        """Return what __call__ does, for any number of rows, at least one."""
        return self.task.kind.answers(self.outputs(rows), self.task.labels)

    def outputs(self, rows: Iterable[Row]) -> np.ndarray:
        """Return the outputs, (rows, outputs) float32, for any number of rows.

        Tokens lie on the disk meanwhile, so that memory grows with the outputs alone.

        Raises UserError where an output is NaN or infinite, and where no folder takes temporary files.
        """
        try:
            tempfile.gettempdir()
        except FileNotFoundError:
            raise UserError("no folder for temporary files, expected one in TMPDIR that can be written") from None
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / f"{self.task.name}_input"
            write_split(place, rows, self.task, "input", self.tokenizer, self.max_seq_len, made_from={}, dropped={})
            split, device = read_split(folder, self.task, "input"), self.model.device
            tokens = choose_tokens_at_once(0, device)
            outputs = predict(self.model, self.task, split, BATCH_SIZE, self.precision, tokens)
        wrong = ~np.isfinite(outputs).all(1)
        if wrong.any():
            raise UserError(
                f"{self.name}: the output for row {int(wrong.argmax())} is {outputs[wrong][0].tolist()}, "
                "expected numbers; the weights are damaged, or the training diverged"
            )
        return outputs
