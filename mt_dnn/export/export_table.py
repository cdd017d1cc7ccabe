"""What an export gives: parameters, megabytes and milliseconds of the dense and the compact model, measured side by side."""

import statistics
import time

import torch

from mt_dnn.model import count_parameters

TOKENS = 64  # of every row that is timed
BATCHES = (1, 32)
SECONDS = 1.0  # each is timed for, and at least three times


@torch.no_grad()
def export_table(models, original):
    """Return (table in Markdown, largest difference of logits to those of `original`, a Classifier).

    `models`: {"dense": ..., "compact": ..., maybe more}, called, as that of `original` is, with (task, batch). Rows are of
    random tokens; they are timed without padding, and compared with it.
    """
    for model in models.values():
        model.eval()
    task, tokenizer, generator = original.task, original.tokenizer, torch.Generator().manual_seed(0)
    rows = _rows(max(BATCHES), min(TOKENS, original.max_seq_len), len(tokenizer), generator)
    padded = {
        **rows,
        "attention_mask": (
            torch.arange(rows["input_ids"].shape[1]) < torch.randint(3, TOKENS, (max(BATCHES), 1), generator=generator)
        ).long(),
    }
    padded["input_ids"] = padded["input_ids"].where(padded["attention_mask"] > 0, tokenizer.pad_token_id)
    expected = original.model(task, padded)
    difference = max(float((model(task, padded) - expected).abs().max()) for model in models.values())
    times = {size: _milliseconds(models, task, {key: value[:size] for key, value in rows.items()}) for size in BATCHES}
    lines = [
        f"| | parameters | MB | {' | '.join(f'ms per row, batch of {size}' for size in BATCHES)} |",
        f"| --- | --- | --- |{' --- |' * len(BATCHES)}",
    ]
    for name, model in models.items():
        n_parameters = count_parameters(models["compact"] if name == "onnx" else model)
        megabytes = model.megabytes if name == "onnx" else 4 * n_parameters / 1e6
        lines.append(
            f"| {name} | {n_parameters:,} | {megabytes:.1f} | {' | '.join(f'{times[size][name] / size:.2f}' for size in BATCHES)} |"
        )
    note = (
        f"Rows of {rows['input_ids'].shape[1]} tokens on this CPU, {torch.get_num_threads()} threads, float32; medians, measured in turns. "
        f"Largest difference of logits: {difference:.1e}."
    )
    return "\n".join([*lines, "", note]) + "\n", difference


def _rows(n, length, vocabulary, generator):
    ids = torch.randint(5, vocabulary, (n, length), generator=generator)
    return {"input_ids": ids, "token_type_ids": (torch.arange(length) >= length // 2).long().expand(n, -1)}


def _milliseconds(models, task, batch):
    """Median time of a call by model name; they take turns, and their first calls are not counted."""
    times = {name: [] for name in models}
    for model in models.values():
        model(task, batch)
    while min(map(sum, times.values())) < SECONDS or min(map(len, times.values())) < 3:
        for name, model in models.items():
            started = time.perf_counter()
            model(task, batch)
            times[name].append(time.perf_counter() - started)
    return {name: 1000 * statistics.median(own) for name, own in times.items()}
