"""Adamax with decoupled weight decay, computed by torch's fused AdamW."""

from collections.abc import Callable, Iterable
from typing import Any

import torch


class DecoupledAdamax(torch.optim.AdamW):
    """Adamax, with the weight decay of AdamW: a weight shrinks by rate x decay, whatever its gradient.

    (The decay built into torch's Adamax is added to the gradient, and so gets lost in its normalisation.)

    Adamax divides by u = max(beta2 x u, |gradient|) (Algorithm 2 of Kingma and Ba 2015), so by the root of
    u^2 = max(beta2^2 x u^2, gradient^2). AMSGrad divides by the root of v = max(v, second moment). If AdamW's own beta2
    is 0, the second moment is gradient^2; then v is u^2 if step() multiplies it by beta2^2 first. So torch's fused step
    computes it, in half the time of torch's Adamax (docs/speed.md). This costs one more tensor per parameter, the
    second moment.

    Two details differ from the code released with the super-tickets paper. That code does not correct the first moment
    for its bias towards 0, as Algorithm 2 does; after 50 updates this changes a step by less than 1 %. And it adds eps
    to every |gradient|, as torch's Adamax does; here eps is added to u.

    A parameter without a gradient is left alone, as AdamW does.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, betas: tuple[float, float], **settings: Any) -> None:
        """`groups`: torch's parameter groups, each with its `weight_decay`; `settings`: lr and eps."""
        beta1, self.beta2 = betas
        super().__init__(groups, betas=(beta1, 0.0), amsgrad=True, fused=True, **settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        moved = [state for parameter, state in self.state.items() if parameter.grad is not None]
        if moved:
            torch._foreach_mul_([state["max_exp_avg_sq"] for state in moved], self.beta2**2)
        return super().step(closure)
