"""A task, rows and a model in memory, in float64, for tests of the method."""

import copy

import numpy as np
import torch
import toy

from data_utils.task_kinds import TASK_KINDS
from data_utils.tasks import Layout, Task
from mt_dnn.model import Model

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


class Rows:
    """A split in memory: rows of different lengths, one sentence or two."""

    def __init__(self, pairs, kind, n=7, seed=0):
        rng = np.random.default_rng(seed)
        self.lengths = rng.integers(4, 13, n)
        self.rows = [rng.integers(5, len(toy.VOCABULARY), length) for length in self.lengths]
        self.seconds = [rng.integers(2, length) if pairs else length for length in self.lengths]
        self.labels = rng.integers(0, 3, n) if kind == "classification" else rng.normal(size=n)

    def __len__(self):
        return len(self.rows)

    def part(self, rows):
        part = copy.copy(self)
        part.lengths, part.labels = self.lengths[rows], self.labels[rows]
        part.rows, part.seconds = [self.rows[row] for row in rows], [self.seconds[row] for row in rows]
        return part

    def batch(self, rows, padded_length=None):
        length = padded_length or self.lengths[rows].max()
        ids, types, mask = (torch.zeros(len(rows), length, dtype=torch.long) for _ in range(3))
        for i, row in enumerate(rows):
            ids[i, : self.lengths[row]] = torch.from_numpy(self.rows[row])
            types[i, self.seconds[row] : self.lengths[row]] = 1
            mask[i, : self.lengths[row]] = 1
        padding = {} if mask.all() else {"attention_mask": mask}
        return {"input_ids": ids, "token_type_ids": types, **padding, "labels": torch.from_numpy(self.labels[rows])}


def make_model(task, attention="sdpa", family="bert"):
    model = Model(toy.encoder(family, attention=attention, layers=LAYERS, heads=HEADS), [task])
    model.draw_task_heads(1)
    with torch.no_grad():
        model.task_heads[f"task_{task.name}"].weight.mul_(30)  # outputs that matter, so the loss has slopes
    return model.double().eval()


class Split(Rows):
    """Rows as fine_tune takes them; a batch pads all of its rows to one length. Some tokens are never used."""

    header = {"pad_id": 0}

    def __init__(self, n, seed):
        super().__init__(True, "classification", n, seed)
        self.rows = [np.where(row < 12, 12, row) for row in self.rows]

    def tokens_in_parts(self):
        yield np.concatenate(self.rows)
