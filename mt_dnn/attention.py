"""The library's encoder, made to give its pooled output with less work."""

import torch
from torch import nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import BertLayer, eager_attention_forward

from mt_dnn.dropout import Dropout, drop


def save_work(encoder):
    """Let `encoder` (a library BERT) do no more than its pooler's output needs, in place.

    That output stays the same up to rounding, as do the names of the weights. Of the last layer's hidden states the
    first position's alone are left.
    """
    encoder.encoder.layer[-1].__class__ = FirstPosition
    if encoder.config._attn_implementation == "sdpa":
        encoder.config._attn_implementation = attend.__name__
    for module in list(encoder.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p))


class FirstPosition(BertLayer):
    """A last layer at the first position alone, as the pooler reads no other; the others still are keys and values."""

    def forward(self, hidden_states, attention_mask=None, *more, **others):
        attention, first = self.attention.self, hidden_states[:, :1]
        def by_head(projected):
            return projected.unflatten(-1, (-1, attention.attention_head_size)).transpose(1, 2)
        function = ALL_ATTENTION_FUNCTIONS.get_interface(attention.config._attn_implementation, eager_attention_forward)
        context, _ = function(attention, by_head(attention.query(first)), by_head(attention.key(hidden_states)), by_head(attention.value(hidden_states)),
                              attention_mask, dropout=attention.dropout.p if self.training else 0.0, scaling=attention.scaling)
        output = self.attention.output(context.flatten(2), first)
        return self.output(self.intermediate(output), output)


def attend(module, query, key, value, attention_mask, dropout=0.0, scaling=None, **more):
    """The library's scaled_dot_product_attention, except for dropout on a CPU: torch has no fast code for that.

    query, key, value: (batch, heads, length, size); attention_mask: added to the scores, (batch, 1, 1, length), or None.
    Returns (batch, length, heads, size), None.
    """
    if not dropout or query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more)
    batch, heads, _, size = query.shape
    query, key, value = (states.reshape(batch * heads, -1, size) for states in (query, key, value))
    mask = query.new_zeros(1) if attention_mask is None else attention_mask.expand(batch, heads, 1, -1).reshape(batch * heads, 1, -1)
    scores = torch.baddbmm(mask, query, key.transpose(1, 2), alpha=scaling)
    return (drop(scores.softmax(-1), dropout) @ value).unflatten(0, (batch, heads)).transpose(1, 2), None


ALL_ATTENTION_FUNCTIONS.register(attend.__name__, attend)
