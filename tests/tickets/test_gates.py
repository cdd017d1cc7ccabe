"""Gates and importance, in float64 against central finite differences."""

import numpy as np
import pytest
import torch
from in_memory import HEADS, LAYERS, Rows, make_model, make_task

from mt_dnn.encoders.families import FAMILIES
from mt_dnn.loss import loss_per_row
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.importance import score
from mt_dnn.tickets.ticket import DENSE, Ticket

STEP = 1e-4


def loss_with_gate(model, task, batch, unit, value):
    heads, ffns = (gates.double() for gates in ticket_gates(DENSE, LAYERS, HEADS))
    if isinstance(unit, tuple):
        heads[unit[0], 0, 0, unit[1]] = value
    else:
        ffns[unit] = value
    with torch.no_grad(), gated(model.encoder, heads, ffns):
        return float(loss_per_row(model, task, batch))


def finite_difference(model, task, batch, unit):
    """Central differences at two steps, extrapolated: the error is of the fourth order."""

    def slope(step):
        return (
            loss_with_gate(model, task, batch, unit, 1 + step) - loss_with_gate(model, task, batch, unit, 1 - step)
        ) / (2 * step)

    return (4 * slope(STEP) - slope(2 * STEP)) / 3


CASES = [("bert", kind, pairs) for kind in ("classification", "regression") for pairs in (False, True)]
CASES += [(family, "classification", True) for family in FAMILIES if family != "bert"]


@pytest.mark.parametrize("family, kind, pairs", CASES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_importance_is_the_mean_absolute_slope_of_each_rows_loss(family, kind, pairs, attention):
    task, split = make_task(kind), Rows(pairs, kind)
    model = make_model(task, attention, family)
    heads, ffns = score(model, task, split, np.arange(len(split)), batch_size=4)  # padded batches of unequal size
    alone = [split.batch(np.array([row])) for row in range(len(split))]
    for layer in range(LAYERS):
        expected = np.mean([abs(finite_difference(model, task, batch, layer)) for batch in alone])
        assert expected > 1e-6 and ffns[layer] == pytest.approx(expected, rel=1e-6)
        for head in range(HEADS):
            expected = np.mean([abs(finite_difference(model, task, batch, (layer, head))) for batch in alone])
            assert heads[layer, head] == pytest.approx(expected, rel=1e-6)


def test_importance_per_token_sums_absolute_slopes_over_positions():
    task, split = make_task(), Rows(True, "classification", n=3)
    model = make_model(task)
    _, ffns = score(model, task, split, np.arange(3), batch_size=3, per="token")
    heads_open, ffns_open = (gates.double() for gates in ticket_gates(DENSE, LAYERS, HEADS))
    total = 0.0
    for row in range(3):
        batch = split.batch(np.array([row]))
        for position in range(int(split.lengths[row])):
            losses = []
            for value in (1 + STEP, 1 - STEP):
                gates = ffns_open.expand(LAYERS, 1, int(split.lengths[row])).clone()
                gates[1, 0, position] = value
                with torch.no_grad(), gated(model.encoder, heads_open, gates):
                    losses.append(float(loss_per_row(model, task, batch)))
            total += abs(losses[0] - losses[1]) / (2 * STEP)
    assert ffns[1] == pytest.approx(total / 3, rel=1e-5)


@pytest.mark.parametrize("per", ["example", "token"])
def test_importance_does_not_depend_on_batches_padding_or_order(per):
    task, split = make_task(), Rows(True, "classification", n=9)
    model = make_model(task)
    reference = score(model, task, split, np.arange(9), batch_size=1, per=per)

    class Padded(Rows):
        def batch(self, rows):
            return super().batch(rows, self.lengths[rows].max() + 5)

    others = [
        score(model, task, split, np.arange(9), batch_size=4, per=per),
        score(model, task, split, np.arange(9)[::-1], batch_size=9, per=per),
        score(model, task, Padded(True, "classification", n=9), np.arange(9), batch_size=4, per=per),
    ]
    for heads, ffns in others:
        np.testing.assert_allclose(heads, reference[0], rtol=1e-9)
        np.testing.assert_allclose(ffns, reference[1], rtol=1e-9)


def test_scoring_leaves_the_model_as_it_was():
    task, split = make_task(), Rows(False, "classification")
    model = make_model(task).train()
    model.encoder.embeddings.requires_grad_(False)
    before = {name: (value.clone(), value.requires_grad) for name, value in model.named_parameters()}
    score(model, task, split, np.arange(len(split)), batch_size=4)
    assert model.training
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name][0]) and value.requires_grad == before[name][1] and value.grad is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.encoder.encoder.modules())


def test_closed_ffn_is_layer_norm_of_the_attention_output():
    task, split = make_task(), Rows(False, "classification")
    model = make_model(task)
    layer, seen = model.encoder.encoder.layer[1], {}
    handles = [
        layer.attention.register_forward_hook(lambda module, inputs, output: seen.update(attention=output[0])),
        layer.register_forward_hook(lambda module, inputs, output: seen.update(layer=output)),
    ]
    with torch.no_grad(), gated(model.encoder, *ticket_gates(Ticket(ffns=frozenset({1})), LAYERS, HEADS)):
        model(task, split.batch(np.arange(3)))
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(seen["layer"], layer.output.LayerNorm(seen["attention"]), rtol=0, atol=1e-14)
