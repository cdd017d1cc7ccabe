"""Gated = pruned, in float64: outputs, gradients, parameters, training."""

import copy

import numpy as np
import pytest
import torch
from in_memory import HEADS, LAYERS, make_model, make_rows, make_task

from mt_dnn.encoders.families import FAMILIES
from mt_dnn.flags.training import OptimizationOptions
from mt_dnn.loss import loss_per_row
from mt_dnn.model import count_parameters, shape_of
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.ticket import Ticket, remaining_weights, removed_parameters
from mt_dnn.training.optim import make_optimizer

TICKET = Ticket(frozenset({(0, 0), (0, 2), (1, 3), (2, 0), (2, 1), (2, 3)}), frozenset({0, 2}))


def pruned_copy(model):
    pruned = copy.deepcopy(model)
    prune(pruned.encoder, TICKET)
    return pruned


def closed(model):
    return gated(model.encoder, *ticket_gates(TICKET, LAYERS, HEADS))


def what_remains(model, read):
    """{name in the pruned encoder: the part of `read(parameter)` that is left} for a model that was not pruned."""
    family = FAMILIES[model.encoder.config.model_type]
    projections = [f"{name}.{kind}" for name in (family.query, family.key, family.value) for kind in ("weight", "bias")]
    size = model.encoder.config.hidden_size // HEADS
    left = {}
    for name, parameter in model.named_parameters():
        value = read(parameter)
        parts = name.split(".")
        if parts[:3] == ["encoder", "encoder", "layer"]:
            layer, rest = int(parts[3]), ".".join(parts[4:])
            if layer in TICKET.ffns and (rest.startswith("intermediate") or rest.startswith("output.dense")):
                continue
            rows = [row for row in range(HEADS * size) if (layer, row // size) not in TICKET.heads]
            if rest in projections:
                value = value[rows]
            elif rest == f"{family.output}.weight":
                value = value[:, rows]
        left[name] = value
    return left


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family, kind", [*((family, "classification") for family in FAMILIES), ("bert", "regression")])
def test_gated_and_pruned_agree_in_outputs_and_gradients(attention, family, kind):
    task, split = make_task(kind), make_rows(True, kind)
    model = make_model(task, attention, family)
    pruned, batch = pruned_copy(model), split.batch(np.arange(len(split)))
    with closed(model):
        outputs = model(task, batch)
        loss_per_row(model, task, batch).mean().backward()
    loss_per_row(pruned, task, batch).mean().backward()
    torch.testing.assert_close(pruned(task, batch), outputs, rtol=0, atol=1e-10)
    gradients = {name: parameter.grad for name, parameter in pruned.named_parameters()}
    expected = what_remains(model, lambda parameter: parameter.grad)
    assert gradients.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(gradients[name], expected[name], rtol=0, atol=1e-10, msg=name)


def test_closed_units_get_no_gradient():
    task, split = make_task(), make_rows(True, "classification")
    model = make_model(task)
    with closed(model):
        loss_per_row(model, task, split.batch(np.arange(len(split)))).mean().backward()
    size = model.encoder.config.hidden_size // HEADS
    for layer, head in TICKET.heads:
        attention, rows = model.encoder.encoder.layer[layer].attention, slice(head * size, (head + 1) * size)
        for projection in (attention.self.query, attention.self.key, attention.self.value):
            assert not projection.weight.grad[rows].any() and not projection.bias.grad[rows].any()
        assert not attention.output.dense.weight.grad[:, rows].any()
    for layer in TICKET.ffns:
        ffn = model.encoder.encoder.layer[layer]
        assert not any(
            part.grad.any()
            for module in (ffn.intermediate.dense, ffn.output.dense)
            for part in (module.weight, module.bias)
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_parameter_count_is_what_the_account_says(family):
    model = make_model(make_task(), family=family)
    shape, pruned = shape_of(model.encoder), pruned_copy(model)
    assert count_parameters(pruned.encoder) == shape.parameters - removed_parameters(TICKET.counts, shape, biases=True)
    assert count_parameters(pruned.encoder) / shape.parameters == pytest.approx(
        remaining_weights(TICKET.counts, shape, biases=True), abs=1e-15
    )


@pytest.mark.parametrize("optimizer", ["adamax", "adamw"])
def test_training_pruned_and_gated_gives_the_same_weights(optimizer):
    task, split = make_task(), make_rows(True, "classification", n=24)
    model = make_model(task)
    pruned = pruned_copy(model)
    options = OptimizationOptions(optimizer=optimizer, learning_rate=1e-3)
    optimizers = {model: make_optimizer(model, options), pruned: make_optimizer(pruned, options)}
    for step in range(8):
        batch = split.batch(np.arange(step * 3, step * 3 + 3))
        for trained, its_optimizer in optimizers.items():
            trained.eval()  # dropout off
            if trained is model:
                with closed(trained):
                    loss_per_row(trained, task, batch).mean().backward()
            else:
                loss_per_row(trained, task, batch).mean().backward()
            torch.nn.utils.clip_grad_norm_(trained.parameters(), 0.05)  # small enough to clip
            its_optimizer.step()
            its_optimizer.zero_grad()
    for name, expected in what_remains(model, lambda parameter: parameter.detach()).items():
        torch.testing.assert_close(pruned.get_parameter(name).detach(), expected, rtol=0, atol=1e-9, msg=name)
