"""Attention of a layer's heads, with fast dropout: torch has no fused attention with dropout on CPUs.

There it falls back to slow code, which attend() replaces.
"""

from typing import Any

import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import eager_attention_forward

from mt_dnn.encoders.dropout import drop
from mt_dnn.encoders.encoder import SelfAttention
from mt_dnn.encoders.products import product


def context_of(
    attention: SelfAttention, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """Return the heads' attention-weighted values side by side, (batch, query length, heads x head_size).

    `query`, `key`, `value`: (batch, length, heads x head_size); a query may have a length of its own. `mask`: is added
    to the attention's scores, so its shape is one that broadcasts to (batch, heads, query length, length).
    """
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
    scaling = head_size**-0.5 if scaling is None else scaling
    scores = product(torch.baddbmm, mask, query, key.transpose(1, 2), alpha=scaling)
    context = product(torch.bmm, drop(scores.softmax(-1), dropout), value)
    return context.unflatten(0, (batch, heads)).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(attend.__name__, attend)
