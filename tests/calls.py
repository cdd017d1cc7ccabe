"""How the tests call train.py and rewind.py on the toy tasks, and read what comes out."""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mt_dnn.encoders.families import FAMILIES

ROOT = Path(__file__).parents[1]

QUICK = ("--epochs", 1, "--train_fraction", 0.2)  # where the outcome need not be good
FAST = ("--epochs", 3, "--learning_rate", 5e-3, "--device", "cpu", "--precision", "float32")

SCRIPTS_WITH_GPUID = [
    "train_mnli",
    "rewind_mnli",
    "rewind_mnli_low_resource",
    "prepare_mtdnn_base",
    "prepare_mtdnn_large",
    "train_mtdnn",
    "domain_adaptation",
    *(f"rewind_{task}_winning" for task in ("mnli", "qnli", "qqp", "sst", "mrpc", "cola", "stsb", "rte")),
]

# The families for tests that go through all commands: BERT, and the one that differs most; the others are slow tests.
EACH_FAMILY = [
    family if family in ("bert", "mpnet") else pytest.param(family, marks=pytest.mark.slow) for family in FAMILIES
]

# A Python for scripts: it writes down its arguments and does nothing.
RECORDING_PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then exit; fi   # asked for its version and packages
for argument in "$@"; do printf '%s\\n' "$argument"; done >> calls.txt
echo "----" >> calls.txt
"""

TOGETHER = "sst,rte,stsb,mnli"  # the tasks of the toy MT-DNN


def options(workshop, task="sst", *more):
    return ("--data_dir", workshop.data, "--init_checkpoint", workshop.encoder, "--train_datasets", task, *FAST, *more)


def result_of(folder):
    return json.loads((folder / "result.json").read_text())


def rewind(cli, workshop, masks, output, *more, task="sst"):
    ended = cli("rewind.py", *options(workshop, task), "--masks", *masks, "--output_dir", output, *more)
    assert ended.status == 0, ended.err
    return ended


def launch(processes, *command):
    """Run a command in so many processes, by torchrun where there are several; return how it ended."""
    torchrun = ["-m", "mt_dnn.runtime.launch", "--standalone", "--nproc-per-node", processes] if processes > 1 else []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, [*torchrun, *command])], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def tokenize(workshop, data_dir, task, *more):
    paths = ("--raw_dir", workshop.raw, "--data_dir", data_dir, "--init_checkpoint", workshop.encoder)
    return ("prepro.py", *paths, "--tasks", task, "--max_seq_len", 64, *more)


@contextlib.contextmanager
def files_up_to(n_bytes):
    """Within the block files can't grow beyond so many bytes: what a full disk does, with another number.

    Keep the block short: what pytest itself writes to a file is limited too.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def copy_of_scripts(folder, python):
    """Copy into `folder` what the scripts need, with the data fetched and the shell script `python` as their Python."""
    for name in ("scripts", "experiments"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("train.py", "requirements.txt", "download.sh"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv/bin").mkdir(parents=True)
    shutil.copy(ROOT / "requirements.txt", folder / ".venv/requirements.installed")
    (folder / ".venv/bin/python").write_text(python)
    (folder / ".venv/bin/python").chmod(0o755)
    for fetched in ("amazon", "encoders"):  # before
        (folder / "data/quickstart" / fetched).mkdir(parents=True)


def table(text):
    """The cells of tab-separated text, by line."""
    return [line.split("\t") for line in text.splitlines()]


def renamed(run, folder, name):
    """A copy of a run's model whose task has another name."""
    folder.mkdir()
    for file in (run / "model").iterdir():
        if file.name == "SHA256SUMS":
            continue
        content = file.read_bytes()
        if file.name in ("tasks.json", "mask.json"):
            content = content.replace(b'"sst"', f'"{name}"'.encode())
        if file.name == "model.safetensors":
            from safetensors.torch import load, save

            content = save(
                {key.replace("task_sst", f"task_{name}"): value for key, value in load(content).items()},
                {"format": "pt"},
            )
        (folder / file.name).write_bytes(content)
    return folder


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
