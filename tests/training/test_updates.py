"""An update: which tasks it is of, and that its gradient is that of the mean over its rows."""

import contextlib
import dataclasses

import numpy as np
import pytest
import torch
import toy
from in_memory import HEADS, LAYERS, make_rows, make_split, make_task, train

from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model
from mt_dnn.training.bfloat16 import Bfloat16Copies
from mt_dnn.training.micro_batches import MicroBatches
from mt_dnn.training.task_data import TaskData
from mt_dnn.training.trainer import compute_gradients
from mt_dnn.training.updates import Update


@pytest.mark.parametrize("batches_per_update, expected", [(1, [{"one"}] * 3 + [{"two"}] * 4), (7, [{"one", "two"}])])
def test_an_update_names_the_tasks_of_its_batches(tmp_path, monkeypatch, batches_per_update, expected):
    """Model.updating() keeps the heads that all of these tasks close."""
    seen = []

    def updating(model, tasks, optimizer):
        seen.append(set(tasks))
        return contextlib.nullcontext()

    monkeypatch.setattr(Model, "updating", updating)
    tasks = [dataclasses.replace(make_task(), name=name) for name in ("one", "two")]
    data = [
        TaskData(task, split, {task.name: split})
        for task, split in zip(tasks, (make_split(20, seed=1), make_split(30, seed=2)))
    ]
    options = OptimizationOptions(epochs=1, batch_size=8, grad_accumulation_step=batches_per_update)
    model = Model(toy.encoder(layers=LAYERS, heads=HEADS), tasks).double()
    train(model, data, options, MachineOptions(), tmp_path)
    assert sorted(seen, key=sorted) == expected


def test_an_updates_gradient_is_that_of_the_mean_over_its_rows_also_where_batches_differ_in_size():
    kinds = ("classification", "regression")
    tasks = [dataclasses.replace(make_task(kind), name=kind, head_dropout=0.0) for kind in kinds]
    model = Model(toy.encoder(layers=LAYERS, heads=HEADS), tasks).double()
    model.draw_task_heads(1)
    one, two = (TaskData(task, make_rows(True, task.kind.name, n=n), {}) for task, n in zip(tasks, (9, 4)))
    update = Update([(one, np.arange(8)), (one, np.array([8])), (two, np.arange(4))])
    micro_batches = MicroBatches.for_model(model, "float32", tokens=30)
    losses = compute_gradients(update, Bfloat16Copies(model, enabled=False), micro_batches, "float32")
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    rows = torch.cat([loss_per_row(model, own.task, own.train.batch(at)) for own, at in update.batches])
    rows.mean().backward()
    for name, expected in zip(kinds, (rows[:9], rows[9:])):
        of_task = sum(float(loss) for task, loss in losses if task == name)
        assert of_task == pytest.approx(expected.sum().item() / 13)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-12, msg=name)
