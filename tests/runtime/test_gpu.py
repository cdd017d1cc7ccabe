"""Training, evaluation and scoring on a GPU, as far as that can be told without one (fake_gpu.py)."""

import dataclasses
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
import toy
from in_memory import HEADS, LAYERS, make_split, make_task

from mt_dnn.encoders.families import FAMILIES
from mt_dnn.flags.training import MachineOptions, OptimizationOptions
from mt_dnn.model import Model, place_tickets
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.criteria import CRITERIA, TaskRows, score
from mt_dnn.tickets.ticket import DENSE, Ticket
from mt_dnn.training.task_data import TaskData
from mt_dnn.training.trainer import fine_tune

TICKET = Ticket(frozenset({(0, 0), (1, 2), (2, 3)}), frozenset({1}))


TWO = {"one": TICKET, "two": DENSE}


@pytest.fixture(scope="module")
def on_gpu():
    """Call a function with the GPU that is not there, in a process of its own: on_gpu(...) -> its value, the waits."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda *args, **more: pool.submit(with_gpu, *args, **more).result()


def with_gpu(function, *args, **more):
    from fake_gpu import GPU, FakeGpu

    with FakeGpu() as gpu:
        return function(GPU, *args, **more), gpu.waits


def make_model(tasks, device, family="bert", dtype=torch.float64):
    model = Model(toy.encoder(family, layers=LAYERS, heads=HEADS), tasks)
    model.draw_task_heads(1)
    return model.to(dtype=dtype).to(device)


def trained(device, folder, tickets, n_rows=20, family="bert", optimizer="adamax", exact=False, precision="float32"):
    """Train in float64, or in bfloat16; return (weights, dev outputs)."""
    tasks = [dataclasses.replace(make_task(), name=name, head_dropout=0.0) for name in tickets]
    data = [
        TaskData(task, make_split(n_rows, seed), {task.name: make_split(n_rows, seed=7)})
        for seed, task in enumerate(tasks)
    ]
    model = make_model(tasks, device, family, torch.float32 if precision == "bfloat16" else torch.float64)
    place_tickets(model, tickets, exact)
    options = OptimizationOptions(epochs=2, batch_size=8, learning_rate=1e-3, optimizer=optimizer)
    machine = MachineOptions(batch_size_eval=4, checkpoint_minutes=1e6)  # also on a slow CPU none is written
    _, outputs = fine_tune(model, data, options, machine, precision, 5, RunFolder(folder))
    return {name: weight.cpu() for name, weight in model.state_dict().items()}, outputs


def scored(device, criterion):
    task = make_task()
    return score(make_model([task], device), TaskRows(task, make_split(20, seed=1), batch_size=8), criterion)


CASES = [
    *({"tickets": {"one": TICKET}, "family": family} for family in FAMILIES),
    {"tickets": {"one": TICKET}, "optimizer": "adamw"},
    {"tickets": TWO},
    {"tickets": TWO, "exact": True},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_gpu_trains_the_weights_of_a_cpu(tmp_path, on_gpu, case):
    (weights, outputs), _ = on_gpu(trained, tmp_path / "gpu", **case)
    expected, expected_outputs = trained(torch.device("cpu"), tmp_path / "cpu", **case)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-10, msg=name)
    for name, output in expected_outputs.items():
        np.testing.assert_allclose(outputs[name], output, rtol=0, atol=1e-6)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_gpu_gives_the_scores_of_a_cpu(on_gpu, criterion):
    scores, _ = on_gpu(scored, criterion)
    for of_gpu, of_cpu in zip(scores, scored(torch.device("cpu"), criterion), strict=True):
        np.testing.assert_allclose(of_gpu, of_cpu, rtol=0, atol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "case",
    [
        *({"tickets": {"one": TICKET}, "family": family} for family in FAMILIES),
        {"tickets": TWO},
        {"tickets": TWO, "exact": True},
    ],
    ids=[*FAMILIES, "tickets sharing", "exact sharing"],
)
def test_the_cpu_does_not_wait_for_the_gpu_within_an_epoch_or_an_evaluation(tmp_path, on_gpu, case, precision):
    _, waits = on_gpu(trained, tmp_path / "few", n_rows=8, precision=precision, **case)
    assert waits  # at the end of the epoch: they are counted
    assert on_gpu(trained, tmp_path / "many", n_rows=40, precision=precision, **case)[1] == waits
