"""Linear layers that compute in float32 in every precision: those outside the encoder's layers, such as the pooler."""

import torch
from torch import nn

from mt_dnn.encoders.encoder import Encoder


class Float32Linear(nn.Linear):
    """nn.Linear in the precision of its weights (float32, or float64 in tests), also where autocast is on.

    A bfloat16 number has 8 significant bits: a regression with a head in bfloat16 answers a few values only.
    """

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.to(self.weight.dtype))


def layers_alone_in_autocast(encoder: Encoder) -> None:
    """Let all of `encoder` but its layers compute in float32, even within autocast; in place."""
    encoder.pooler.dense.__class__ = Float32Linear
    if hasattr(encoder, "embeddings_project"):  # ELECTRA's, from the embeddings' width to the layers'
        encoder.get_submodule("embeddings_project").__class__ = Float32Linear
