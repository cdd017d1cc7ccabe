"""A task, rows and a model in memory, in float64, for tests of the method."""

import numpy as np
import torch
import toy

from data_utils.task_kinds import TASK_KINDS
from data_utils.tasks import Layout, Task
from data_utils.tokenized import TokenizedSplit
from mt_dnn.model import Model
from mt_dnn.run_folder import RunFolder
from mt_dnn.training.trainer import fine_tune

LAYERS, HEADS = 3, 4


def make_task(kind="classification"):
    labels = ("0", "1", "2") if kind == "classification" else ()
    return Task(
        "toy",
        TASK_KINDS[kind],
        labels,
        ("accuracy",),
        0.1,
        (),
        False,
        {"train": Layout("train.tsv", ("sentence",), "label", None)},
    )


def make_rows(pairs, kind, n=7, seed=0, first=5):
    """A split in memory: rows of different lengths, one sentence or two, with no token before `first`."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 13, n)
    tokens = [rng.integers(first, len(toy.VOCABULARY), length) for length in lengths]
    seconds = [rng.integers(2, length) if pairs else length for length in lengths]  # where the second sentence starts
    types = [np.arange(length) >= second for length, second in zip(lengths, seconds)]
    labels = rng.integers(0, 3, n) if kind == "classification" else rng.normal(size=n)
    starts = np.cumsum(lengths) - lengths
    return TokenizedSplit(np.concatenate(tokens), np.concatenate(types), starts, lengths, labels, {"pad_id": 0})


def make_split(n, seed, first=12):
    """Rows to train on; the tokens 5 to 11 are never used."""
    return make_rows(True, "classification", n, seed, first)


def make_model(task, attention="sdpa", family="bert"):
    model = Model(toy.encoder(family, attention=attention, layers=LAYERS, heads=HEADS), [task])
    model.draw_task_heads(1)
    with torch.no_grad():
        model.task_heads[f"task_{task.name}"].weight.mul_(30)  # outputs that matter, so the loss has slopes
    return model.double().eval()


def train(model, data, options, machine, folder, precision="float32"):
    """fine_tune() with a seed, in a run folder."""
    return fine_tune(model, data, options, machine, precision, 5, RunFolder(folder))
