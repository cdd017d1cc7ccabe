"""Linear layers that compute in float32 in every precision: those outside the encoder's layers, such as the pooler."""

import torch
from torch import nn


class Float32Linear(nn.Linear):
    """nn.Linear in the precision of its weights (float32, or float64 in tests), also where autocast is on.

    A bfloat16 number has 8 significant bits: a regression with a task head in bfloat16 answers a few values only.
    """

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.to(self.weight.dtype))


def layers_alone_in_autocast(model: nn.Module, layers: nn.Module) -> None:
    """Let the linear layers of `model` that are not in `layers` compute in float32, even within autocast; in place.

    They are pooler and task heads, and ELECTRA's projection from the embeddings' width to the layers'.
    """
    inside = set(layers.modules())
    for module in model.modules():
        if type(module) is nn.Linear and module not in inside:
            module.__class__ = Float32Linear
