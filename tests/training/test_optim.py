import pytest
import torch

from data_utils.errors import UserError
from mt_dnn.flags.training import OptimizationOptions
from mt_dnn.training.adamax import AdamaxW
from mt_dnn.training.optim import OPTIMIZERS, make_optimizer, make_scheduler


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.LayerNorm, self.unused = torch.nn.Linear(3, 2), torch.nn.LayerNorm(2), torch.nn.Linear(1, 1)


def test_adamax_is_its_formula_with_decoupled_decay():
    torch.manual_seed(0)
    model = Small().double()
    options = OptimizationOptions(learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(model, options)
    weight, bias, unused = model.dense.weight, model.dense.bias, model.unused.weight.clone()
    expected = {weight: weight.detach().clone(), bias: bias.detach().clone()}
    mean, largest = {key: torch.zeros_like(key) for key in expected}, {key: torch.zeros_like(key) for key in expected}
    for step in range(1, 5):
        for parameter in expected:
            parameter.grad = torch.randn_like(parameter)
            mean[parameter] = 0.9 * mean[parameter] + 0.1 * parameter.grad
            largest[parameter] = torch.maximum(0.999 * largest[parameter], parameter.grad.abs())
            decay = 0.5 if parameter is weight else 0.0  # biases do not decay
            step_size = 0.1 / (1 - 0.9**step) * mean[parameter] / (largest[parameter] + 1e-6)
            expected[parameter] = expected[parameter] * (1 - 0.1 * decay) - step_size
        optimizer.step()
    for parameter, value in expected.items():
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-12, atol=1e-12)
    assert torch.equal(model.unused.weight, unused)  # no gradient: left alone


def test_adamax_without_decay_is_that_of_torch_also_when_a_parameter_has_no_gradient_in_some_updates():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape, dtype=torch.float64)) for shape in ((8, 16), (5, 3))]
    torchs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in ours]
    settings = {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-30}  # so small, it does not matter where it is added
    optimizers = (
        AdamaxW([{"params": ours, "weight_decay": 0.0}], **settings),
        torch.optim.Adamax(torchs, **settings),
    )
    for update in range(30):
        gradients = [
            torch.randn(8, 16, dtype=torch.float64),
            None if update % 3 else torch.full((5, 3), 30.0 - update, dtype=torch.float64),
        ]
        for parameters, optimizer in zip((ours, torchs), optimizers):
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = None if gradient is None else gradient.clone()  # ours writes over it
            optimizer.step()
    for parameter, expected in zip(ours, torchs):
        torch.testing.assert_close(parameter, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_biases_and_layer_norm_do_not_decay(name):
    model = Small()
    optimizer = make_optimizer(model, OptimizationOptions(optimizer=name, weight_decay=0.01))
    decay = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {key: decay[id(parameter)] for key, parameter in model.named_parameters()} == {
        "dense.weight": 0.01,
        "dense.bias": 0,
        "LayerNorm.weight": 0,
        "LayerNorm.bias": 0,
        "unused.weight": 0.01,
        "unused.bias": 0,
    }


def test_rate_grows_over_the_first_tenth_then_falls_to_zero():
    optimizer = torch.optim.SGD(Small().parameters(), lr=2.0)
    schedule, rates = make_scheduler(optimizer, 100, 0.1), []
    for _ in range(100):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates[0] == 0 and rates[5] == pytest.approx(1.0) and rates[10] == 2.0 and rates[55] == pytest.approx(1.0)
    assert schedule.get_last_lr()[0] == 0


@pytest.mark.parametrize("warmup, grows", [(0.29, 29), (0.57, 57), (0.005, 0), (0.0, 0), (1.0, 100)])
def test_the_warm_up_is_an_exact_part_of_the_updates(warmup, grows):
    optimizer = torch.optim.SGD(Small().parameters(), lr=2.0)
    factor = make_scheduler(optimizer, 100, warmup).lr_lambdas[0]
    assert [factor(update) for update in range(grows)] == [update / grows for update in range(grows)]
    assert factor(grows) == (1 if grows < 100 else 0)


def test_an_optimizer_that_is_not_in_the_table_is_refused_with_the_names_that_are():
    with pytest.raises(UserError, match="--optimizer sgd: no such optimizer, expected one of adamax, adamw"):
        make_optimizer(Small(), OptimizationOptions(optimizer="sgd"))
