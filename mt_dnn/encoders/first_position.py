"""The last layer at the first position alone, which is all that the pooler reads.

The other positions are needed as keys and values only. That saves five sixths of that layer's products with weights.
"""

from typing import Any

import torch
from torch import nn

from mt_dnn.encoders.attention import context_of


class FirstPositionLayer(nn.Module):
    """A layer whose output is that of the first position; the others are keys and values."""

    attention: Any  # transformers' BertAttention, or another family's
    intermediate: nn.Module
    output: nn.Module

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *more: Any, **others: Any
    ) -> torch.Tensor:
        attention, first = self.attention.self, hidden_states[:, :1]
        context = context_of(
            attention,
            attention.query(first),
            attention.key(hidden_states),
            attention.value(hidden_states),
            attention_mask,
        )
        output = self.attention.output(context, first)
        return self.output(self.intermediate(output), output)
