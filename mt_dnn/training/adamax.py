"""Adamax with decoupled weight decay."""

from collections.abc import Callable, Iterable
from typing import Any

import torch


class DecoupledAdamax(torch.optim.Adamax):
    """torch's Adamax, but weights shrink by rate x decay, whatever their gradient.

    (The decay built into torch's Adamax is added to the gradient, and so gets lost in its normalisation.)
    A parameter without a gradient is left alone, as AdamW does.

    The first moment is corrected for its bias towards 0, as in Algorithm 2 of Kingma and Ba (2015). The code released
    with the super-tickets paper leaves this correction out; after 50 updates it changes a step by less than 1 %.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], **settings: Any) -> None:
        """`groups`: torch's parameter groups, each with its `weight_decay`; `settings`: those of torch's Adamax."""
        decoupled = [{**group, "weight_decay": 0.0, "decoupled_decay": group["weight_decay"]} for group in groups]
        super().__init__(decoupled, **settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["decoupled_decay"] and moved:
                torch._foreach_mul_(moved, 1 - group["lr"] * group["decoupled_decay"])
        return super().step(closure)
