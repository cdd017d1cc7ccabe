"""One encoder shape on one distribution of lengths: our work, Trainer's and the limit, in turns."""

import importlib.util
from collections.abc import Sequence
from typing import Any

import limit
import numpy as np
import torch
import transformers
from by_trainer import ByTrainer
from by_us import ByUs
from made_up import Rows, lengths_like, make_config

from data_utils.batches import training_batches

BATCH_SIZE = 32
TOKENS = {"cpu": 2048, "cuda": 8192}  # of the products whose rate is measured, by device
ADAMW = " with AdamW"  # Trainer's optimizer; ours is Adamax, as in the paper
WITH_ADAMW = f"fine-tuning{ADAMW}"
COST = {"minilm:rte": 1, "minilm:sst": 1 / 2, "base:rte": 5, "base:sst": 2}  # of a batch, about


def machine(device: torch.device, precision: str) -> dict[str, str]:
    """Return what the numbers belong to."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.backends.cpu.get_cpu_capability()} CPU, {torch.get_num_threads()} threads"
    )
    return {
        "device": name,
        "precision": precision,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def compare(
    shape: str,
    texts: str,
    device: torch.device,
    precision: str,
    batches: int,
    repeats: int,
    sparsities: Sequence[str],
) -> dict[str, Any]:
    """Return a dictionary of what was measured.

    Its keys: "rows", "tokens", "matrix_rate" (operations per second), "seconds": {work: median} and
    "limit_seconds": {our work: limit}.

    The rows are those of some batches of an epoch, from the shortest to the longest; everyone gets the same.
    """
    split, config = Rows(lengths_like(texts)), make_config(shape)
    epoch = sorted(
        training_batches(split.lengths, BATCH_SIZE, seed=0, epoch=1), key=lambda batch: split.lengths[batch].sum()
    )
    n_batches = max(2, round(batches / COST[f"{shape}:{texts}"]))
    rows = np.sort(
        np.concatenate([epoch[place] for place in np.linspace(0, len(epoch) - 1, n_batches + 2)[1:-1].astype(int)])
    )
    lengths = split.lengths[rows]

    ours = ByUs(shape, split, device, precision, BATCH_SIZE)
    tickets = {sparsity: ours.ticket(sparsity) for sparsity in sparsities}
    works = {
        "fine-tuning": ours.fine_tune,
        WITH_ADAMW: lambda rows: ours.fine_tune(rows, optimizer="adamw"),
        **{
            f"rewinding at {sparsity}": lambda rows, ticket=ticket: ours.fine_tune(rows, ticket)
            for sparsity, ticket in tickets.items()
        },
        "importance": ours.score,
        "forward pass": ours.forward,
        "evaluation": ours.evaluate,
    }
    if importlib.util.find_spec("accelerate"):  # Trainer does not work without
        for name, best in (("defaults", False), ("best", True)):
            trainer = ByTrainer(shape, split, device, precision, best, BATCH_SIZE)
            works |= {
                f"fine-tuning, Trainer's {name}": trainer.fine_tune,
                f"evaluation, Trainer's {name}": trainer.evaluate,
            }
    for work in works.values():
        work(rows[:BATCH_SIZE])  # warms up
    seconds = {name: [] for name in works}
    for turn in range(repeats):
        print(f"{shape}, {texts}: turn {turn + 1} of {repeats}", flush=True)
        for name, work in works.items():
            seconds[name].append(work(rows))
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rate = limit.matrix_rate(config, TOKENS[device.type], device, dtype)
    full = (
        rate if dtype is torch.float32 else limit.matrix_rate(config, TOKENS[device.type], device, torch.float32)
    )  # that of importance
    needed = {
        **dict.fromkeys(("fine-tuning", WITH_ADAMW), limit.operations(config, lengths, limit.TRAINING) / rate),
        **{
            f"rewinding at {sparsity}": limit.operations(config, lengths, limit.TRAINING, ticket) / rate
            for sparsity, ticket in tickets.items()
        },
        "importance": limit.operations(config, lengths, limit.SCORING) / full,
        "forward pass": limit.operations(config, lengths, limit.FORWARD) / full,
        "evaluation": limit.operations(config, lengths, limit.FORWARD) / rate,
    }
    return {
        "rows": len(rows),
        "tokens": int(lengths.sum()),
        "matrix_rate": round(rate),
        "seconds": {name: round(float(np.median(times)), 3) for name, times in seconds.items()},
        "all_seconds": {name: [round(time, 3) for time in times] for name, times in seconds.items()},
        "limit_seconds": {name: round(time, 6) for name, time in needed.items()},
    }


def to_markdown(found: dict[str, Any]) -> str:
    """Return the tables of all that was found."""
    system = found["machine"]
    lines = [
        f"{system['device']}, {system['precision']}, torch {system['torch']}, "
        f"transformers {system['transformers']}; medians of {found['repeats']} turns."
    ]
    for name, part in found["compared"].items():
        shape, texts = name.split(":")
        lines += [
            "",
            f"**{shape}, rows as long as {texts}'s**: {part['rows']} rows, {part['tokens']:,} tokens; "
            f"matrix products at {part['matrix_rate'] / 1e9:,.0f} GFLOP/s",
            "",
            "| | seconds | tokens per second | of the limit "
            "| Trainer's defaults take | Trainer's best takes | beside fine-tuning |",
            "|---|---|---|---|---|---|---|",
        ]
        seconds = part["seconds"]
        for work, needed in part["limit_seconds"].items():
            took = seconds[work]
            others = [f"{work.removesuffix(ADAMW)}, Trainer's {which}" for which in ("defaults", "best")]
            beside = [f"{seconds[other] / took:.2f} x" if other in seconds else "" for other in others]
            dense = f"{seconds['fine-tuning'] / took:.2f} x as fast" if work.startswith("rewinding") else ""
            if work == "importance":
                dense = f"{took / seconds['forward pass']:.2f} forward passes"
            lines.append(
                f"| {work} | {took:.2f} | {part['tokens'] / took:,.0f} | {100 * needed / took:.0f} % "
                f"| {' | '.join(beside)} | {dense} |"
            )
    lines += [
        "",
        "| command | |",
        "|---|---|",
        *(f"| {what} | {value:g} |" for what, value in found["commands"].items()),
    ]
    lines += [
        "",
        "Fine-tuning, minilm (64 rows of 64 tokens, dense, one task, where nothing else is said; "
        "tasks: 128 rows in all, each with a ticket at 0.2), seconds:",
        "",
    ]
    lines += [
        f"- {what}: " + ", ".join(f"{x:g}: {value:g}" for x, value in zip(*series))
        for what, series in found["growth"].items()
    ]
    return "\n".join(lines) + "\n"
