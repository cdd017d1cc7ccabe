"""Products in bfloat16 on a CPU that has no instruction for them: float32 multiplies the same numbers."""

import numpy as np
import pytest
import torch
import toy
from in_memory import HEADS, LAYERS, make_rows, make_task
from torch import nn

from mt_dnn.encoders import products
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.encoders.products import product
from mt_dnn.loss import loss_per_row
from mt_dnn.model import Model

CALLS = {
    "linear": (nn.functional.linear, [(40, 70), (30, 70), (30,)], {}),
    "bmm": (torch.bmm, [(5, 40, 70), (5, 70, 30)], {}),
    "baddbmm": (torch.baddbmm, [(5, 40, 30), (5, 40, 70), (5, 70, 30)], {"alpha": 0.125}),
}


@pytest.fixture
def no_instruction(monkeypatch):
    monkeypatch.setattr(products, "cpu_has_bfloat16", lambda: False)


@pytest.mark.parametrize("call", CALLS)
def test_outputs_and_gradients_are_the_exact_ones_of_the_rounded_numbers_rounded_once(no_instruction, call):
    function, shapes, options = CALLS[call]
    generator = torch.Generator().manual_seed(1)
    operands = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    exact = [operand.detach().bfloat16().double().requires_grad_() for operand in operands]
    with torch.autocast("cpu", torch.bfloat16):
        output = product(function, *operands, **options)
    expected = function(*exact, **options)
    gradient = torch.randn(output.shape, generator=generator).bfloat16()
    output.backward(gradient)
    expected.backward(gradient.double())
    assert output.dtype == torch.bfloat16
    found = [output, *(operand.grad.bfloat16() for operand in operands)]
    for value, exact_value in zip(found, [expected, *(operand.grad for operand in exact)], strict=True):
        half_a_unit = 2.0**-8 * exact_value.abs() + 1e-5  # of the last of bfloat16's 8 bits; 1e-5: float32's sums
        assert ((value.double() - exact_value).abs() <= half_a_unit).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_gives_what_a_cpu_with_the_instruction_gives(monkeypatch, family):
    task, batch = make_task(), make_rows(True, "classification", n=9).batch(np.arange(9))
    results = []
    for has_instruction in (True, False):
        monkeypatch.setattr(products, "cpu_has_bfloat16", lambda answer=has_instruction: answer)
        model = Model(toy.encoder(family, layers=LAYERS, heads=HEADS, double=False), [task])
        model.draw_task_heads(1)
        torch.manual_seed(2)  # of dropout
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_per_row(model, task, batch)
        loss.sum().backward()
        results.append((loss.detach(), [parameter.grad for parameter in model.parameters()]))
    (with_it, gradients), (without, others) = results
    torch.testing.assert_close(without, with_it, rtol=0.02, atol=0)
    for gradient, other in zip(gradients, others, strict=True):
        assert (gradient - other).norm() <= 0.05 * gradient.norm() + 1e-4


@pytest.mark.parametrize("autocast, has_instruction", [(False, False), (True, True)])
def test_elsewhere_the_function_gets_its_operands_as_they_are(monkeypatch, autocast, has_instruction):
    monkeypatch.setattr(products, "cpu_has_bfloat16", lambda: has_instruction)
    seen, left, right = [], torch.ones(2, 3), torch.ones(3, 2)

    def multiply(*operands):
        seen.extend(operands)
        return torch.mm(*operands)

    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        product(multiply, left, right)
    assert seen[0] is left and seen[1] is right


def test_plain_takes_the_librarys_layers():
    layers = {
        plain: {type(module) for module in Model(toy.encoder(), [make_task()], plain).encoder.encoder.modules()}
        for plain in (True, False)
    }
    assert nn.Linear in layers[True] and products.Linear not in layers[True]
    assert products.Linear in layers[False] and nn.Linear not in layers[False]
