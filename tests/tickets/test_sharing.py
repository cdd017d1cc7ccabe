"""Tickets sharing in float64: each task's ticket in the shared encoder, batch by batch."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
import toy
from in_memory import HEADS, LAYERS, make_rows, make_task

from mt_dnn.encoders.families import FAMILIES
from mt_dnn.flags.training import OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.prune import closed_slices, prune
from mt_dnn.tickets.ticket import DENSE, Ticket
from mt_dnn.training.optim import make_optimizer

TICKETS = {
    "first": Ticket(frozenset({(0, 0), (0, 2), (1, 3), (2, 0), (2, 1), (2, 3)}), frozenset({0, 2})),
    "second": Ticket(frozenset({(0, 0), (1, 1), (1, 2)}), frozenset({1})),
    "third": DENSE,
}
TASKS = [
    dataclasses.replace(make_task(kind), name=name)
    for name, kind in zip(TICKETS, ("classification", "regression", "classification"))
]


def make_shared(tickets=TICKETS, attention="sdpa", family="bert"):
    model = Model(toy.encoder(family, layers=LAYERS, heads=HEADS, attention=attention), TASKS).double().eval()
    model.draw_task_heads(1)
    model.set_tickets(tickets)
    return model


def batch_of(task, seed=0):
    return make_rows(True, task.kind.name, seed=seed).batch(np.arange(7))


def gradients(model, task):
    model.zero_grad()
    loss_per_row(model, task, batch_of(task)).mean().backward()
    return {
        name: None if parameter.grad is None else parameter.grad.clone() for name, parameter in model.named_parameters()
    }


def closed_part(name, value, ticket):
    """The entries of the encoder's parameter `name` that `ticket` closes, or None."""
    parts = name.split(".")
    if parts[:3] != ["encoder", "encoder", "layer"]:
        return None
    layer, rest = int(parts[3]), ".".join(parts[4:])
    if rest.startswith(("intermediate", "output.dense")):
        return value if layer in ticket.ffns else None
    size = toy.config().hidden_size // HEADS
    rows = [row for row in range(HEADS * size) if (layer, row // size) in ticket.heads]
    if not rows or not rest.startswith("attention") or "LayerNorm" in rest or rest == "attention.output.dense.bias":
        return None
    return value[:, rows] if rest == "attention.output.dense.weight" else value[rows]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("family, attention", [*((family, "sdpa") for family in FAMILIES), ("bert", "eager")])
def test_logits_are_those_of_the_encoder_pruned_by_the_tasks_ticket(task, family, attention):
    model = make_shared(attention=attention, family=family)
    pruned = copy.deepcopy(model)
    pruned.set_tickets({})
    prune(pruned.encoder, TICKETS[task.name])
    torch.testing.assert_close(model(task, batch_of(task)), pruned(task, batch_of(task)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_the_ticket_closes_gets_exactly_no_gradient_and_the_rest_that_of_closed_gates(task):
    model, ticket = make_shared(), TICKETS[task.name]
    found = gradients(model, task)
    model.set_tickets({})
    with gated(model.encoder, *ticket_gates(ticket, LAYERS, HEADS)):
        expected = gradients(model, task)
    checked = 0
    for name, gradient in found.items():
        if expected[name] is not None:  # other tasks' task heads have none
            torch.testing.assert_close(
                torch.zeros_like(expected[name]) if gradient is None else gradient, expected[name], rtol=0, atol=1e-12
            )
        closed = closed_part(name, model.get_parameter(name) if gradient is None else gradient, ticket)
        if closed is not None:
            assert gradient is None if ".attention." not in name else not closed.any()
            checked += 1
    assert checked == 7 * len({layer for layer, _ in ticket.heads}) + 4 * len(ticket.ffns)


def test_an_update_leaves_closed_ffns_and_other_heads_alone():
    model = make_shared()
    optimizer = make_optimizer(model, OptimizationOptions(learning_rate=0.1, weight_decay=0.5))
    for task in (TASKS[2], TASKS[0]):  # the dense one first, so that there is momentum
        before = copy.deepcopy(model.state_dict())
        optimizer.zero_grad()
        loss_per_row(model, task, batch_of(task)).mean().backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        left_alone = (
            name.startswith("task_heads.")
            and not name.startswith("task_heads.task_first")
            or ".attention." not in name
            and closed_part(name, value, TICKETS["first"]) is not None
        )
        assert torch.equal(value, before[name]) == (left_alone or "position_ids" in name), name


# ---- exact sharing: what a task's ticket closes stays as it is in the task's updates ----

UPDATES = [[2], [0], [1], [0, 1], [0], [2, 0], [1, 0, 1], [0], [1]]  # by number in TASKS, the batches of every update
OPTIONS = {"learning_rate": 1e-2, "weight_decay": 0.5}


class Reference:
    """Adamax and AdamW with decoupled decay; an entry that is not `trained` keeps its value and its moments."""

    def __init__(self, name, optimizer):
        self.optimizer, self.decay = optimizer, 0.0 if name.endswith(".bias") or "LayerNorm" in name else 0.5
        self.first = self.second = self.steps = 0

    def update(self, value, gradient, trained):
        self.steps += 1
        first, rate = 0.9 * self.first + 0.1 * gradient, 1e-2
        if self.optimizer == "adamax":
            second = torch.maximum(torch.as_tensor(0.999 * self.second), gradient.abs())
            step = rate / (1 - 0.9**self.steps) * first / (second + 1e-6)
        else:
            second = 0.999 * self.second + 0.001 * gradient**2
            step = rate * (first / (1 - 0.9**self.steps)) / ((second / (1 - 0.999**self.steps)).sqrt() + 1e-6)
        moved = value * (1 - rate * self.decay) - step
        self.first = torch.where(trained, first, self.first)
        self.second = torch.where(trained, second, self.second)
        return torch.where(trained, moved, value)


def trained_entries(name, parameter, tasks):
    """Which entries of the parameter `name` an update by `tasks` trains: bool; None where it has no gradient."""
    if name.startswith("task_heads."):
        return (
            torch.ones_like(parameter, dtype=bool)
            if name.split(".")[1] in {f"task_{task.name}" for task in tasks}
            else None
        )
    trained = torch.zeros_like(parameter, dtype=bool)
    for task in tasks:
        opened = torch.ones_like(parameter, dtype=bool)
        entries = torch.arange(parameter.numel()).view(parameter.shape)
        closed = closed_part(name, entries, TICKETS[task.name])
        if closed is not None:
            opened.view(-1)[closed.flatten()] = False
        trained |= opened
    is_ffn = name.split(".")[4:5] in (["intermediate"], ["output"]) and "LayerNorm" not in name
    return None if is_ffn and not trained.any() else trained


@pytest.mark.parametrize("optimizer", ["adamax", "adamw"])
def test_exact_sharing_trains_the_entries_that_a_tasks_ticket_leaves_open_and_no_others(optimizer):
    model, expected = make_shared(), make_shared(dict.fromkeys(TICKETS, DENSE))
    model.set_tickets(TICKETS, exact_sharing=True)
    ours = make_optimizer(model, OptimizationOptions(optimizer=optimizer, **OPTIONS))
    references = {name: Reference(name, optimizer) for name, _ in model.named_parameters()}
    for step, numbers in enumerate(UPDATES):
        tasks = [TASKS[number] for number in numbers]
        for number, task in enumerate(tasks):
            loss_per_row(model, task, batch_of(task, seed=10 * step + number)).mean().backward()
            with gated(expected.encoder, *ticket_gates(TICKETS[task.name], LAYERS, HEADS)):
                loss_per_row(expected, task, batch_of(task, seed=10 * step + number)).mean().backward()
        with model.updating([task.name for task in tasks], ours):
            ours.step()
        ours.zero_grad()
        with torch.no_grad():
            for name, parameter in expected.named_parameters():
                trained = trained_entries(name, parameter, tasks)
                if trained is not None:
                    parameter.copy_(references[name].update(parameter, parameter.grad, trained))
        expected.zero_grad()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter, expected.get_parameter(name), rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("exact", [True, False])
def test_heads_that_a_ticket_closes_move_in_its_tasks_updates_unless_sharing_is_exact(family, exact):
    model = make_shared(family=family)
    model.set_tickets(TICKETS, exact)
    optimizer = make_optimizer(model, OptimizationOptions(**OPTIONS))
    for task in (TASKS[2], TASKS[0]):  # the dense one first, so that there is momentum
        closed = copy.deepcopy(closed_slices(model.encoder, TICKETS["first"]))
        before = {
            name: model.encoder.get_parameter(name).index_select(dim, index) for name, (dim, index) in closed.items()
        }
        optimizer.zero_grad()
        loss_per_row(model, task, batch_of(task)).mean().backward()
        with model.updating([task.name], optimizer):
            optimizer.step()
    assert len(before) == 7 * len({layer for layer, _ in TICKETS["first"].heads})
    for name, (dim, index) in closed.items():
        assert torch.equal(model.encoder.get_parameter(name).index_select(dim, index), before[name]) == exact, name


def test_swapping_tasks_leaves_no_trace():
    model = make_shared()
    modules, names = list(model.modules()), [name for name, _ in model.named_parameters()]
    alone = {task.name: gradients(make_shared(), task) for task in TASKS}
    for task in (TASKS[0], TASKS[1], TASKS[0], TASKS[2], TASKS[1], TASKS[2], TASKS[0]):
        found = gradients(model, task)
        for name, gradient in alone[task.name].items():
            assert (gradient is None) == (found[name] is None) and (
                gradient is None or torch.equal(gradient, found[name])
            )
    assert (
        list(map(id, model.modules())) == list(map(id, modules))
        and [name for name, _ in model.named_parameters()] == names
    )


def test_an_error_in_a_batch_leaves_no_trace_either():
    model, batch = make_shared(), batch_of(TASKS[0])
    modules = list(map(id, model.modules()))
    with pytest.raises(IndexError):
        model(TASKS[0], {**batch, "input_ids": batch["input_ids"] + 10_000})
    assert list(map(id, model.modules())) == modules
