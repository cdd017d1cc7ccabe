"""MPNet whose layers can lose heads: the library's own code takes the biases by distance of all heads."""

from typing import Any, cast

import torch
from torch import nn
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from mt_dnn.encoders.attention import context_of
from mt_dnn.encoders.encoder import Encoder


class RelativeEncoder(MPNetEncoder):
    """The layers of MPNet, with the biases of one row for all rows.

    They are the same for all. The library copies them for every row, and so fills as large a gradient in every layer.
    """

    def compute_position_bias(self, x: torch.Tensor, *others: Any, **more: Any) -> torch.Tensor:
        """Return the biases, (1, heads, length, length)."""
        with x.device:  # transformers 5.17 makes the distances on the CPU, and waits for the GPU to fetch them
            return super().compute_position_bias(x[:1], *others, **more)


class RelativeLayer(nn.Module):
    """A layer of MPNet, whose heads add biases by distance to their scores; here only its open heads do.

    `first_position_only`: as in first_position.py.
    """

    attention: Any  # transformers' MPNetAttention; its `attn` gets a buffer open_heads, (open heads,) indices
    intermediate: nn.Module
    output: nn.Module
    first_position_only = False

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_bias: torch.Tensor | None = None,
        **others: Any,
    ) -> tuple[torch.Tensor]:
        assert position_bias is not None  # MPNet's encoder always gives it
        attention = self.attention.attn
        queries = hidden_states[:, :1] if self.first_position_only else hidden_states
        bias = position_bias[:, :, : queries.shape[1]].index_select(1, attention.open_heads)
        context = context_of(
            attention,
            attention.q(queries),
            attention.k(hidden_states),
            attention.v(hidden_states),
            bias if attention_mask is None else bias + attention_mask,
        )
        output = self.attention.LayerNorm(self.attention.dropout(attention.o(context)) + queries)
        return (self.output(self.intermediate(output), output),)


def use_relative_layers(encoder: Encoder) -> None:
    """Turn the layers of the library's MPNet into RelativeLayers in a RelativeEncoder, in place."""
    cast(Any, encoder).encoder.__class__ = RelativeEncoder
    for layer in encoder.encoder.layer:
        layer.__class__ = RelativeLayer
        attention = cast(RelativeLayer, layer).attention.attn
        attention.config = encoder.config
        heads = torch.arange(encoder.config.num_attention_heads, device=attention.q.weight.device)
        attention.register_buffer("open_heads", heads, persistent=False)
