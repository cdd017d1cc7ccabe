"""What an export gives: size and speed of the zeroed and the compact model, measured side by side."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from data_utils.markdown import markdown_table
from data_utils.tasks import Task
from mt_dnn.export.classifier import Classifier
from mt_dnn.export.onnx import OnnxClassifier
from mt_dnn.model import count_parameters

TOKENS_PER_ROW = 64  # of every row that is timed
BATCHES = (1, 32)
TIMING_SECONDS = 1.0  # each is timed for, and at least three times


@torch.no_grad()
def export_table(models: dict[str, nn.Module], original: Classifier) -> tuple[str, float]:
    """Return (table in Markdown, largest difference of logits to those of `original`: NaN where a logit is NaN).

    The difference is divided by the largest logit if that is above 1, as values of a regression may be.

    `models`: {"zeroed": ..., "compact": ..., maybe more}; each is called with (task, batch), as that of `original` is.
    Rows are of random tokens; they are timed without padding and compared with it.
    """
    for model in models.values():
        model.eval()
    task, tokenizer, generator = original.task, original.tokenizer, torch.Generator().manual_seed(0)
    padding: Any = tokenizer.pad_token_id
    rows = _rows(max(BATCHES), min(TOKENS_PER_ROW, original.max_seq_len), len(tokenizer), generator)
    ends = torch.randint(3, TOKENS_PER_ROW, (max(BATCHES), 1), generator=generator)
    mask = (torch.arange(rows["input_ids"].shape[1]) < ends).long()
    padded = {**rows, "attention_mask": mask, "input_ids": rows["input_ids"].where(mask > 0, padding)}
    expected = original.model(task, padded)
    largest = expected.abs().max().clamp(min=1)
    differences = [(model(task, padded) - expected).abs().max() / largest for model in models.values()]
    difference = float(torch.stack(differences).max())
    times = {size: _milliseconds(models, task, {key: value[:size] for key, value in rows.items()}) for size in BATCHES}
    table = []
    for name, model in models.items():
        onnx = isinstance(model, OnnxClassifier)
        n_parameters = count_parameters(models["compact"] if onnx else model)
        megabytes = model.megabytes if onnx else 4 * n_parameters / 1e6
        per_row = [f"{times[size][name] / size:.2f}" for size in BATCHES]
        table.append([name, f"{n_parameters:,}", f"{megabytes:.1f}", *per_row])
    columns = ["model", "parameters", "MB", *(f"ms per row, batch of {size}" for size in BATCHES)]
    note = (
        f"Rows of {rows['input_ids'].shape[1]} tokens on this CPU, {torch.get_num_threads()} threads, float32; "
        f"medians, measured in turns. Largest difference of logits: {difference:.1e}"
        f"{' of the largest logit' if largest > 1 else ''}."
    )
    return f"{markdown_table(columns, table)}\n\n{note}\n", difference


def _rows(n: int, length: int, vocabulary: int, generator: torch.Generator) -> dict[str, Tensor]:
    ids = torch.randint(5, vocabulary, (n, length), generator=generator)
    return {"input_ids": ids, "token_type_ids": (torch.arange(length) >= length // 2).long().expand(n, -1)}


def _milliseconds(models: dict[str, nn.Module], task: Task, batch: dict[str, Tensor]) -> dict[str, float]:
    """Return the median time of a call by model name. The models take turns; their first calls are not counted."""
    times: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        model(task, batch)
    while min(map(sum, times.values())) < TIMING_SECONDS or min(map(len, times.values())) < 3:
        for name, model in models.items():
            started = time.perf_counter()
            model(task, batch)
            times[name].append(time.perf_counter() - started)
    return {name: 1000 * statistics.median(seconds) for name, seconds in times.items()}
