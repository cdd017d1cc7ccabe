"""The optimizers of --optimizer, in a table, and the schedule of their learning rate.

Weight decay is decoupled: a weight shrinks by rate x decay in every update, whatever its gradient. Biases and LayerNorm
do not decay.
"""

import functools
import math
from collections.abc import Callable
from fractions import Fraction

import torch
import transformers
from torch import nn

from data_utils.advice import entry_named
from mt_dnn.flags.training import OptimizationOptions
from mt_dnn.training.adamax import AdamaxW

MakeOptimizer = Callable[..., torch.optim.Optimizer]

OPTIMIZERS: dict[str, MakeOptimizer] = {  # called with parameter groups, lr, betas, eps; weight_decay must be decoupled
    "adamax": AdamaxW,
    "adamw": functools.partial(torch.optim.AdamW, fused=True),
}

# Those that update each weight by its own gradients alone. A weight whose gradients are all 0 only decays, so rows of
# the embedding table that no text uses can be left out (vocabulary.py). LAMB is none: its steps are by whole tables.
WEIGHT_BY_WEIGHT = {"adamax", "adamw"}


def optimizer_named(name: str) -> MakeOptimizer:
    """Return the entry of the table; raise UserError, with the names there are, for another name."""
    return entry_named(OPTIMIZERS, name, "optimizer")


def make_optimizer(model: nn.Module, options: OptimizationOptions) -> torch.optim.Optimizer:
    """Return the optimizer that `options` name, over all parameters of `model`."""
    decaying, others = [], []
    for name, parameter in model.named_parameters():
        (others if name.endswith(".bias") or "LayerNorm" in name else decaying).append(parameter)
    # The decaying group comes first: decay_of() and the log read the learning rate of the first one.
    groups = [{"params": decaying, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return optimizer_named(options.optimizer)(groups, lr=options.learning_rate, betas=(0.9, 0.999), eps=1e-6)


def make_scheduler(
    optimizer: torch.optim.Optimizer, n_updates: int, warmup: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a scheduler: linear growth over the part `warmup` (0 to 1) of `n_updates`, then linear decay to 0.

    It is stepped once per update, so its `last_epoch`, as torch calls it, is the number of updates done. Another
    schedule must be a LambdaLR too, as those of transformers are: decay_of() reads its rates.
    """
    growing = math.floor(Fraction(str(warmup)) * n_updates)  # as a float, 0.29 of 100 is 28.999...
    return transformers.get_linear_schedule_with_warmup(optimizer, growing, n_updates)


def decay_of(scheduler: torch.optim.lr_scheduler.LambdaLR, options: OptimizationOptions, n_updates: int) -> float:
    """Return the factor by which this many updates multiply a decaying weight whose gradients are all 0."""
    rate, schedule = float(scheduler.base_lrs[0]), scheduler.lr_lambdas[0]
    return math.prod(1 - rate * schedule(update) * options.weight_decay for update in range(n_updates))
