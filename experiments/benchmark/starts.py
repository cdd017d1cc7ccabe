"""Whole commands, as processes of their own: seconds until they answer, seconds and memory until they end."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from made_up import make_encoder, make_tokenizer, write_texts

from data_utils.errors import RunFailed

DOORS = [
    "prepro.py",
    "train.py",
    "rewind.py",
    "construct_mtl_mask.py",
    "mt_dnn/reports/__main__.py",
    "mt_dnn/reports/multi_task.py",
]


# A process counts the memory that the one it came from had when they parted, so a small one starts what is measured.
PEAK = (
    "import resource, subprocess, sys; status = subprocess.call(sys.argv[1:]); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(status)"
)


def timed(*command: object) -> tuple[float, float]:
    """Run a command of this repository; return (seconds, peak memory in MB). Raises RunFailed if it fails."""
    started = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    *said, peak = ended.stdout.splitlines()
    if ended.returncode:
        raise RunFailed(f"{' '.join(map(str, command))}: {said[-1] if said else ended.returncode}")
    return time.perf_counter() - started, int(peak) * 1024 / 1e6


def seconds_until(text: str, *command: object) -> float:
    """Run a command of this repository until its output has `text`; return the seconds.

    Raises RunFailed if the command ends without it.
    """
    started, line = time.perf_counter(), ""
    with subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            if text in line:
                process.kill()
                return time.perf_counter() - started
    raise RunFailed(f"{' '.join(map(str, command))}: {line.strip()}")


def measure(device: torch.device, repeats: int) -> dict[str, float]:
    """Return {what: value} of the commands: seconds are medians over `repeats`, memory is the largest."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_tokenizer().save_pretrained(folder / "encoder")
        make_encoder("minilm").save_pretrained(folder / "encoder")
        for name, texts, part in (("all", "sst", 1.0), ("quarter", "sst", 0.25), ("rte", "rte", 1.0)):
            write_texts(folder, name, texts, part)

        def prepro(name: str, data: str) -> tuple[float, float]:
            return timed(
                "prepro.py",
                "--raw_dir",
                folder,
                "--data_dir",
                folder / data,
                "--task_def",
                folder / f"{name}.yml",
                "--init_checkpoint",
                folder / "encoder",
            )

        def train(output: str) -> tuple[object, ...]:
            return (
                "train.py",
                "--data_dir",
                folder / "data",
                "--task_def",
                folder / "rte.yml",
                "--init_checkpoint",
                folder / "encoder",
                "--train_datasets",
                "rte",
                "--do_train",
                "--epochs",
                1,
                "--output_dir",
                folder / output,
                "--device",
                device.type,
            )

        found = {f"{door} --help, seconds": _median(timed(door, "--help") for _ in range(repeats)) for door in DOORS}
        rounds = [
            (prepro("all", f"tokenized_{number}"), prepro("quarter", f"tokenized_{number}"))
            for number in range(repeats)
        ]
        found["prepro.py, 67349 rows like SST-2's, seconds"] = _median(whole for whole, _ in rounds)
        found["prepro.py, 67349 rows like SST-2's, peak MB"] = max(whole[1] for whole, _ in rounds)
        found["prepro.py, a quarter of them, peak MB"] = max(quarter[1] for _, quarter in rounds)
        prepro("rte", "data")
        one_row = (
            "--batch_size",
            1,
            "--train_fraction",
            0.001,
            "--log_per_updates",
            1,
        )  # so that the first update itself takes no time
        found["train.py, MiniLM, start to first update, seconds"] = float(
            np.median([seconds_until("update 1/", *train(f"start_{number}"), *one_row) for number in range(repeats)])
        )
        found["train.py, MiniLM on rows like RTE's, peak MB"] = timed(*train("train"), "--train_fraction", 0.1)[1]
    return {what: round(float(value), 2) for what, value in found.items()}


def _median(rounds: Iterable[tuple[float, float]]) -> float:
    return float(np.median([seconds for seconds, _ in rounds]))
