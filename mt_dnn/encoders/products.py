"""Products in bfloat16 on CPUs that have no instruction for them, as fast as products in float32.

There torch's own take five times as long as in float32 (two cores of a Xeon with AVX-512: 50 GFLOP/s beside 230). Here
float32 multiplies the same numbers: the product of two bfloat16 numbers is a float32 number without rounding, sums are
in float32 either way, and the result is rounded to bfloat16 once. So results differ from those of a CPU that has the
instruction by the order of sums only.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from mt_dnn.runtime.machine import cpu_has_bfloat16


class Linear(nn.Linear):
    """nn.Linear of the encoder's layers."""

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        return product(nn.functional.linear, states, self.weight, self.bias)


def product(function: Callable[..., torch.Tensor], *operands: torch.Tensor | None, **options: Any) -> torch.Tensor:
    """Return `function(*operands, **options)`: torch.matmul, nn.functional.linear or another that multiplies matrices.

    Where autocast is on, it is computed in bfloat16.
    """
    on_cpu = all(operand is None or operand.device.type == "cpu" for operand in operands)
    if not on_cpu or not torch.is_autocast_enabled("cpu") or cpu_has_bfloat16():
        return function(*operands, **options)
    with torch.autocast("cpu", enabled=False):
        rounded = [None if operand is None else operand.bfloat16().float() for operand in operands]
        return function(*rounded, **options).bfloat16()
