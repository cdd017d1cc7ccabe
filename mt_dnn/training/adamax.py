"""Adamax with decoupled weight decay, computed by torch's fused AdamW."""

from collections.abc import Iterable
from typing import Any

import torch
from torch.optim.adamw import adamw


class AdamaxW(torch.optim.Optimizer):
    """Adamax, with the weight decay of AdamW: a weight shrinks by rate x decay, whatever its gradient.

    (The decay built into torch's Adamax is added to the gradient, and so gets lost in its normalisation.)

    Adamax divides by u = max(beta2 x u, |gradient|) (Algorithm 2 of Kingma and Ba 2015), so by the root of
    u^2 = max(beta2^2 x u^2, gradient^2). AMSGrad divides by the root of v = max(v, second moment). If AdamW's own beta2
    is 0, the second moment is gradient^2; then v is u^2 if it is multiplied by beta2^2 before each step. So torch's
    fused AdamW computes it, in half the time of torch's Adamax (docs/speed.md).

    Two details differ from the code released with the super-tickets paper. That code does not correct the first moment
    for its bias towards 0, as Algorithm 2 does; after 50 updates this changes a step by less than 1 %. And it adds eps
    to every |gradient|, as torch's Adamax does; here eps is added to u.

    A parameter without a gradient is left alone, as AdamW does.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        """`groups`: torch's parameter groups, each with its `weight_decay`."""
        # "fused" tells load_state_dict() to keep the number of steps beside the parameter, as the fused step needs it.
        super().__init__(groups, {"lr": lr, "betas": betas, "eps": eps, "fused": True})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Change the weights by their gradients; what the gradients hold afterwards has no meaning."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            states = [self._state_of(parameter) for parameter in parameters]
            gradients = [parameter.grad for parameter in parameters]
            largest = [state["max_exp_avg_sq"] for state in states]
            beta1, beta2 = group["betas"]
            torch._foreach_mul_(largest, beta2**2)
            adamw(
                parameters,
                gradients,
                [state["exp_avg"] for state in states],
                gradients,  # as beta2 is 0, no second moment need be kept. torch writes it after it read the gradient.
                largest,
                [state["step"] for state in states],
                fused=True,
                amsgrad=True,
                beta1=beta1,
                beta2=0.0,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=False,
            )

    def _state_of(self, parameter: torch.Tensor) -> dict[str, torch.Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["max_exp_avg_sq"] = torch.zeros_like(parameter)
        return state
