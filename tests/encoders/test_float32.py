"""In bfloat16 the encoder's layers alone are in bfloat16: pooler, head and loss are in float32."""

import numpy as np
import pytest
import torch
import toy
import transformers
from in_memory import HEADS, LAYERS, make_rows, make_task

from mt_dnn.encoders.families import FAMILIES
from mt_dnn.export.zeroed import HFClassifier
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.ticket import DENSE, Ticket

TICKET = Ticket(frozenset({(0, 0), (1, 3), (2, 1)}), frozenset({0}))


def make(family, tickets):
    task = make_task("regression")
    model = Model(toy.encoder(family, layers=LAYERS, heads=HEADS, double=False), [task]).eval()
    model.draw_task_heads(1)
    if tickets == "pruned":
        prune(model.encoder, TICKET)
    else:
        model.set_tickets({task.name: tickets})
    return model, task, make_rows(True, "regression", n=50).batch(np.arange(50))


@pytest.mark.parametrize("tickets", [DENSE, TICKET, "pruned"], ids=["dense", "shared", "pruned"])
@pytest.mark.parametrize("family", FAMILIES)
def test_pooler_head_and_loss_are_in_float32_while_the_layers_are_in_bfloat16(family, tickets):
    model, task, batch = make(family, tickets)
    (head,), pooler, seen = model.task_heads.values(), model.encoder.pooler, {}
    pooler.register_forward_hook(lambda module, inputs, output: seen.update(states=inputs[0], pooled=output))
    pooler.dense.register_forward_hook(lambda module, inputs, output: seen.update(pooled_linear=output))
    query = model.encoder.encoder.layer[1].get_submodule(FAMILIES[family].query)
    query.register_forward_hook(lambda module, inputs, output: seen.update(query=output))
    with torch.autocast("cpu", torch.bfloat16):
        outputs, loss = model(task, batch), loss_per_row(model, task, batch)
    assert seen["query"].dtype == torch.bfloat16
    assert loss.dtype == outputs.dtype == seen["pooled"].dtype == seen["pooled_linear"].dtype == torch.float32
    states = seen["states"].float()
    linear = states[:, 0] @ pooler.dense.weight.T + pooler.dense.bias
    torch.testing.assert_close(seen["pooled_linear"], linear, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(outputs, seen["pooled"] @ head.weight.T + head.bias, rtol=1e-6, atol=1e-6)
    assert len(outputs.unique()) >= 48  # with the head in bfloat16: a few


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_of_pooler_and_head_are_in_float32(family):
    model, task, batch = make(family, TICKET)
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_per_row(model, task, batch).mean()
    loss.backward()
    for linear in (*model.task_heads.values(), model.encoder.pooler.dense):
        gradient = linear.weight.grad
        assert gradient.dtype == torch.float32 and not torch.equal(gradient, gradient.bfloat16().float())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_librarys_classifier_in_a_zeroed_export_does_the_same(family):
    config = toy.config(family, layers=LAYERS, heads=HEADS, dropout=0.0)
    config.num_labels = 1
    torch.manual_seed(0)
    model = HFClassifier(transformers.AutoModelForSequenceClassification.from_config(config)).eval()
    batch = make_rows(True, "regression", n=50).batch(np.arange(50))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        outputs = model(make_task("regression"), batch)
    assert outputs.dtype == torch.float32 and len(outputs.unique()) >= 48
