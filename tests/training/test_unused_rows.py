"""Rows of the embedding table that no text uses stay out of training, and end as if they had been in it."""

import copy
import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import toy
from in_memory import HEADS, LAYERS, make_split, make_task, train

from mt_dnn.encoders.vocabulary import UsedRows
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.model import Model
from mt_dnn.training.optim import (
    OPTIMIZERS,
    WEIGHT_BY_WEIGHT,
    decay_of,
    make_optimizer,
    make_scheduler,
)
from mt_dnn.training.task_data import TaskData


class Coupled(torch.optim.SGD):
    """Weight decay that goes into a momentum: a row without gradient does not just decay."""

    def __init__(self, groups, lr, **settings):
        super().__init__(groups, lr=lr, momentum=0.9)


def test_an_optimizer_that_moves_unused_rows_gets_the_whole_table(tmp_path, monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "coupled", Coupled)
    task, split = dataclasses.replace(make_task(), head_dropout=0.0), make_split(30, seed=1)
    options = OptimizationOptions(epochs=2, batch_size=8, optimizer="coupled", learning_rate=0.1, weight_decay=0.5)
    weights = []
    for machine in (MachineOptions(), MachineOptions(plain=True)):
        model = Model(toy.encoder(layers=LAYERS, heads=HEADS), [task], machine.plain).double()
        model.draw_task_heads(1)
        data = TaskData(task, split, {"toy": split})
        train(model, [data], options, machine, tmp_path / str(machine.plain))
        weights.append(model.encoder.embeddings.word_embeddings.weight)
    torch.testing.assert_close(*weights, rtol=0, atol=1e-10)


@pytest.mark.parametrize("optimizer", sorted(WEIGHT_BY_WEIGHT))
def test_training_the_used_rows_gives_the_table_of_training_them_all(optimizer):
    torch.manual_seed(0)
    whole = torch.nn.Embedding(200, 16, padding_idx=3)
    used = np.zeros(200, bool)
    used[np.random.default_rng(0).choice(200, 90, replace=False)] = used[3] = True
    encoder = SimpleNamespace(embeddings=SimpleNamespace(word_embeddings=copy.deepcopy(whole)))
    some = UsedRows.put_in(encoder, used)
    options = OptimizationOptions(optimizer=optimizer, learning_rate=0.1, weight_decay=0.3)
    tables = {table: make_optimizer(torch.nn.ModuleDict({"table": table}), options) for table in (whole, some)}
    schedules = [make_scheduler(optimizer, 30, 0.1) for optimizer in tables.values()]
    target = torch.randn(200, 16)
    for _ in range(30):
        ids = torch.from_numpy(np.flatnonzero(used))[torch.randint(0, int(used.sum()), (4, 5))]
        for (table, its_optimizer), schedule in zip(tables.items(), schedules):
            ((table(ids) - target[ids]) ** 2).sum().backward()
            if table is some:
                some.make_gradient_dense()
            its_optimizer.step()
            its_optimizer.zero_grad()
            schedule.step()
    assert some.weight.shape == (int(used.sum()), 16)
    some.put_back(encoder, decay_of(schedules[1], options, 30))
    table = encoder.embeddings.word_embeddings
    assert torch.equal(table.weight[used], whole.weight[used]) and table.padding_idx == 3
    torch.testing.assert_close(table.weight, whole.weight)
