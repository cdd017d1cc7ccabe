"""One encoder shape on one distribution of lengths: our work, Trainer's and the limit, in each precision."""

import importlib.util
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

from experiments.benchmark import limit
from experiments.benchmark.by_us import ByUs, Measured
from experiments.benchmark.commands import ROOT
from experiments.benchmark.made_up import lengths_like, make_config
from mt_dnn.runtime.machine import cpu_has_bfloat16
from mt_dnn.tickets.ticket import DENSE

TOKENS = {"cpu": 2048, "cuda": 8192}  # of the products whose rate is measured, by device


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the numbers belong to."""
    features = {"avx512_bf16", "amx_bf16"}
    has = {name for name, value in getattr(torch.cpu, "get_capabilities", dict)().items() if value is True}
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{torch.backends.cpu.get_cpu_capability()} CPU, {torch.get_num_threads()} threads"
    )
    return {
        "device": name,
        "has": sorted(features & has) if device.type == "cpu" else [],
        "lacks": sorted(features - has) if device.type == "cpu" else [],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def precisions_of(device: torch.device) -> list[str]:
    """Return the precisions that a device has instructions for.

    (Without them Trainer's epoch in bfloat16 took more than ten times as long as in float32.)
    """
    cuda = device.type == "cuda"
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else cpu_has_bfloat16()
    return ["float32", "bfloat16"] if has_bfloat16 else ["float32"]


def compare(
    shape: str, texts: str, rows: int, dev_rows: int, device: torch.device, precisions: list[str], checkout: Path
) -> dict[str, Any]:
    """Measure one epoch of `rows` rows; return a dictionary of what was found.

    Its keys: "rows", "dev_rows", "matrix_rate" ({precision: operations per second}) and "works": a Measured for each
    work and precision. Those of our own have "limit_seconds", too.
    """
    lengths, config = lengths_like(texts), make_config(shape)
    lengths, dev_lengths = lengths[:rows], lengths[rows : rows + dev_rows]
    with tempfile.TemporaryDirectory() as folder:
        ours = ByUs.prepare(Path(folder), shape, lengths, dev_lengths, device.type, checkout)
        works = list(_print_each(shape, texts, _measure(ours, precisions)))
    rates = {
        precision: limit.matrix_rate(config, TOKENS[device.type], device, getattr(torch, precision))
        for precision in {*precisions, "float32"}  # importance is always in float32
    }
    needed = {
        **dict.fromkeys(
            ("fine-tuning, adamax", "fine-tuning, adamw"), limit.operations(config, lengths, limit.TRAINING, DENSE)
        ),
        **{
            f"rewinding at {sparsity}": limit.operations(config, lengths, limit.TRAINING, ticket)
            for sparsity, ticket in ours.tickets.items()
        },
        "importance": limit.operations(config, lengths, limit.SCORING),
        "evaluation": limit.operations(config, dev_lengths, limit.FORWARD),
    }
    for work in works:
        if work["work"] in needed:
            work["limit_seconds"] = round(needed[work["work"]] / rates[work["precision"]], 6)
    return {
        "rows": rows,
        "dev_rows": dev_rows,
        "matrix_rate": {precision: round(rate) for precision, rate in sorted(rates.items())},
        "works": works,
    }


def _measure(ours: ByUs, precisions: list[str]) -> Iterator[Measured]:
    for precision in precisions:
        yield from ours.fine_tune(precision, "adamax", with_evaluation=True)
        yield from ours.fine_tune(precision, "adamw")
        yield from ours.rewind(precision)
        if precision == "float32":
            yield from ours.score()
        # Trainer does not work without accelerate. It reads splits as this commit writes them.
        if importlib.util.find_spec("accelerate") and ours.checkout == ROOT:
            yield from ours.by_trainer(precision)


def _print_each(shape: str, texts: str, works: Iterable[Measured]) -> Iterator[Measured]:
    for work in works:
        speed = work["tokens"] / work["seconds"]
        print(f"{shape}, {texts}, {work['precision']}: {work['work']}: {speed:,.0f} tokens/s", flush=True)
        yield work
