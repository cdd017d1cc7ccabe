"""Saves work in the library's encoders: the last layer at the first position alone, and attention with fast dropout.

The pooler reads the first position of the last layer's output, so the other positions are needed as keys and values
only. That saves five sixths of that layer's products with weights. torch has no fused attention with dropout on CPUs
and falls back to slow code, which attend() replaces.
"""

from typing import Any, cast

import torch
from torch import nn
from transformers import PretrainedConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import eager_attention_forward

from mt_dnn.encoders.dropout import Dropout, drop
from mt_dnn.encoders.encoder import Encoder, SelfAttention
from mt_dnn.encoders.families import family_of


def save_work(encoder: Encoder, plain: bool = False) -> None:
    """Let `encoder` (one of families.py) do no more than its pooler's output needs, in place.

    The pooler's output stays the same up to rounding, and the weights keep their names. The last layer's hidden states
    are those of the first position only.

    `plain`: leave all to the library, except MPNet's layers, whose own code cannot lose a head.
    """
    layers = encoder.encoder.layer
    if family_of(encoder.config).relative_positions:
        for layer in layers:
            RelativeLayer.take_over(layer, encoder.config, first_position_only=layer is layers[-1] and not plain)
    if plain:
        return
    if not family_of(encoder.config).relative_positions:
        layers[-1].__class__ = FirstPositionLayer
    if encoder.config._attn_implementation == "sdpa":
        encoder.config._attn_implementation = attend.__name__
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))


class BertSelfAttention(SelfAttention):
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear


class BertAttention(nn.Module):
    self: BertSelfAttention
    output: nn.Module


class FirstPositionLayer(nn.Module):
    """A layer whose output is that of the first position; the others are keys and values."""

    attention: BertAttention
    intermediate: nn.Module
    output: nn.Module

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, *more: Any, **others: Any
    ) -> torch.Tensor:
        attention, first = self.attention.self, hidden_states[:, :1]
        context = _context(
            attention,
            attention.query(first),
            attention.key(hidden_states),
            attention.value(hidden_states),
            attention_mask,
        )
        output = self.attention.output(context, first)
        return self.output(self.intermediate(output), output)


class RelativeSelfAttention(SelfAttention):
    q: nn.Linear
    k: nn.Linear
    v: nn.Linear
    o: nn.Linear
    open_heads: torch.Tensor  # (open heads,) indices


class RelativeAttention(nn.Module):
    attn: RelativeSelfAttention
    LayerNorm: nn.LayerNorm
    dropout: nn.Dropout


class RelativeLayer(nn.Module):
    """A layer of MPNet, whose heads add biases by distance to their scores; here only its open heads do.

    The library's own code takes the biases of all heads. `first_position_only`: as in FirstPositionLayer.
    """

    attention: RelativeAttention
    intermediate: nn.Module
    output: nn.Module
    first_position_only: bool

    @classmethod
    def take_over(cls, layer: nn.Module, config: PretrainedConfig, first_position_only: bool) -> None:
        """Make the library's `layer`, of an encoder with that `config`, one of these, in place."""
        layer.__class__ = cls
        layer = cast(RelativeLayer, layer)
        layer.first_position_only = first_position_only
        attention = layer.attention.attn
        attention.config = config
        heads = torch.arange(config.num_attention_heads, device=attention.q.weight.device)
        attention.register_buffer("open_heads", heads, persistent=False)

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
        bias = position_bias[:1, :, : queries.shape[1]].index_select(1, attention.open_heads)  # the same for all rows
        context = _context(
            attention,
            attention.q(queries),
            attention.k(hidden_states),
            attention.v(hidden_states),
            bias if attention_mask is None else bias + attention_mask,
        )
        output = self.attention.LayerNorm(self.attention.dropout(attention.o(context)) + queries)
        return (self.output(self.intermediate(output), output),)


def _context(
    attention: SelfAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """The heads' attention-weighted values side by side; query, key, value: (batch, length, heads x head_size)."""
    head_size = attention.attention_head_size
    query, key, value = (projected.unflatten(-1, (-1, head_size)).transpose(1, 2) for projected in (query, key, value))
    name = attention.config._attn_implementation or "eager"
    function = ALL_ATTENTION_FUNCTIONS.get_interface(name, eager_attention_forward)
    context, _ = function(
        attention,
        query,
        key,
        value,
        mask,
        dropout=attention.dropout.p if attention.training else 0.0,
        scaling=head_size**-0.5,
    )
    return context.flatten(2)


def attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """The library's scaled_dot_product_attention, except where there is dropout on a CPU.

    query, key, value: (batch, heads, length, head_size); attention_mask: added to the scores,
    (batch, heads, length, length) or with 1 in place of some of them, or None; scaling: of the scores,
    1 / sqrt(head_size) if None. Returns (batch, length, heads, head_size), None.
    """
    if not dropout or query.device.type != "cpu":
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )
    batch, heads, _, head_size = query.shape
    query, key, value = (states.reshape(batch * heads, -1, head_size) for states in (query, key, value))
    mask = query.new_zeros(1) if attention_mask is None else attention_mask.expand(batch, heads, -1, -1).flatten(0, 1)
    scores = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=head_size**-0.5 if scaling is None else scaling)
    return (drop(scores.softmax(-1), dropout) @ value).unflatten(0, (batch, heads)).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(attend.__name__, attend)
