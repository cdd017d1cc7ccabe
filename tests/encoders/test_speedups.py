"""What saves work in the encoder changes nothing: every piece against what it replaces."""

import math

import numpy as np
import pytest
import torch
import toy
from in_memory import HEADS, LAYERS, make_split, make_task

from mt_dnn.encoders.attention import attend
from mt_dnn.encoders.dropout import LEVELS, Dropout, drop
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.model import Model
from mt_dnn.runtime.machine import save_time


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_made_faster_gives_the_librarys_outputs_and_gradients(family, attention):
    encoder, other = (toy.encoder(family, attention=code, layers=LAYERS, heads=HEADS) for code in ("eager", attention))
    task, batch = make_task(), make_split(9, seed=2).batch(np.arange(9))
    model = Model(other, [task]).double()
    taken = ["input_ids", "attention_mask", *(["token_type_ids"] if FAMILIES[family].token_types else [])]
    pooled = encoder(**{name: batch[name] for name in taken}).pooler_output
    (model.task_heads[f"task_{task.name}"](pooled) ** 2).sum().backward()
    expected = [parameter.grad for parameter in encoder.parameters()]
    outputs = model.eval()(task, batch)
    (outputs**2).sum().backward()
    torch.testing.assert_close(outputs, model.task_heads[f"task_{task.name}"](pooled), rtol=0, atol=1e-12)
    for (name, parameter), gradient in zip(model.encoder.named_parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=1e-12, msg=name)


def test_mpnet_makes_its_position_biases_once_for_all_rows():
    task, rows = make_task(), []
    model = Model(toy.encoder("mpnet", layers=LAYERS, heads=HEADS), [task]).double()
    model.encoder.encoder.layer[0].register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[2])))
    model(task, make_split(9, seed=2).batch(np.arange(9)))
    assert rows == [1]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_made_faster_drops_where_the_library_drops(family, attention, monkeypatch):
    """Every dropout multiplies by 1 + its rate, so its place and its rate show in the output."""

    def mark(values, p=0.5, training=True, inplace=False):
        return values * (1 + p) if training else values

    for place in ("torch.nn.functional.dropout", "mt_dnn.encoders.dropout.drop", "mt_dnn.encoders.attention.drop"):
        monkeypatch.setattr(place, mark)
    encoder, other = (toy.encoder(family, attention=code, layers=LAYERS, heads=HEADS) for code in ("eager", attention))
    dropouts = [
        module for both in (encoder, other) for module in both.modules() if isinstance(module, torch.nn.Dropout)
    ]
    for at, module in enumerate(dropouts):
        module.p = 0.1 + at % (len(dropouts) // 2) / 100  # a rate for each
    task, batch = make_task(), make_split(9, seed=2).batch(np.arange(9))
    model = Model(other, [task]).double().train()
    taken = ["input_ids", "attention_mask", *(["token_type_ids"] if FAMILIES[family].token_types else [])]
    pooled = encoder.train()(**{name: batch[name] for name in taken}).pooler_output
    expected = model.task_heads[f"task_{task.name}"](mark(pooled, task.head_dropout))
    torch.testing.assert_close(model(task, batch), expected, rtol=0, atol=1e-12)


def test_dropout_drops_each_value_with_its_probability_and_keeps_the_mean():
    torch.manual_seed(3)
    values = torch.randn(999, 1001).requires_grad_()
    for p in (0.1, 0.5, 1 / LEVELS):
        values.grad = None
        out = drop(values, p)
        kept = out != 0
        spread = math.sqrt(p * (1 - p) / values.numel())
        assert float((~kept).double().mean()) == pytest.approx(p, abs=5 * spread + 0.5 / LEVELS)
        for axis in (0, 1):  # no row and no column has more than its share
            assert float((~kept).double().sum(axis).max()) < 999 * p + 7 * math.sqrt(999 * p) + 3
        torch.testing.assert_close(out, values * kept / (1 - p))
        out.backward(torch.ones_like(out) * 2)
        torch.testing.assert_close(values.grad, kept * 2 / (1 - p))  # the same ones


def test_dropout_follows_torchs_seed_and_is_off_in_evaluation():
    module, values = Dropout(0.3), torch.ones(50, 7)

    def draw(seed):
        torch.manual_seed(seed)
        return torch.stack([module(values), module(values)])

    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2)) and not torch.equal(*draw(1))
    assert module.eval()(values) is values


@pytest.mark.parametrize("mask_shape", [(2, 1, 1, 5), (1, 3, 5, 5), (2, 3, 5, 5)])
@pytest.mark.parametrize("scaling", [0.3, None])  # None: 1 / sqrt(4)
def test_attention_with_dropout_is_its_formula(mask_shape, scaling):
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4, dtype=torch.float64) for _ in range(3))
    mask = torch.zeros(mask_shape, dtype=torch.float64)
    mask[0, ..., 3:] = -math.inf
    torch.manual_seed(1)
    context, _ = attend(None, query, key, value, mask, dropout=0.25, scaling=scaling)
    torch.manual_seed(1)
    kept = drop(torch.ones(2, 3, 5, 5, dtype=torch.float64), 0.25)
    expected = (torch.softmax(query @ key.mT * (scaling or 0.5) + mask, -1) * kept) @ value
    torch.testing.assert_close(context, expected.transpose(1, 2), rtol=0, atol=1e-12)
    assert 0 < (kept == 0).sum() < kept.numel()


def test_numbers_too_small_to_matter_become_zero():
    save_time()
    assert float(torch.full((3,), 1e-38).mul_(0.1).sum()) == 0
