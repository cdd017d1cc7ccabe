"""Take a ticket out of the weights for good: the encoder gets smaller and faster, and computes what it
would compute with the ticket's gates closed."""

import torch
from torch import nn


def prune(encoder, ticket):
    """Remove the ticket's heads and FFNs from `encoder` (a library BERT), in place.

    Heads: their rows of query, key and value, their columns of the output projection; attention reads
    the number of heads from the width that is left. FFNs: both linear layers; the LayerNorm stays.
    """
    size = encoder.config.hidden_size // encoder.config.num_attention_heads
    for index, layer in enumerate(encoder.encoder.layer):
        if closed := ticket.heads_of(index):
            keep = [head for head in range(encoder.config.num_attention_heads) if head not in closed]
            units = torch.cat([torch.arange(head * size, (head + 1) * size) for head in keep])
            attention = layer.attention
            for name in ("query", "key", "value"):
                _keep_rows(getattr(attention.self, name), units)
            _keep_columns(attention.output.dense, units)
        if index in ticket.ffns:
            layer.intermediate = nn.Identity()
            layer.output = ClosedFFN(layer.output.LayerNorm)


class ClosedFFN(nn.Module):
    """What is left of a layer's FFN when its gate is closed: LayerNorm of the attention output."""

    def __init__(self, layer_norm):
        super().__init__()
        self.LayerNorm = layer_norm

    def forward(self, hidden_states, input_tensor):
        return self.LayerNorm(input_tensor)


def _keep_rows(linear, units):
    linear.weight = nn.Parameter(linear.weight.detach()[units].clone(), linear.weight.requires_grad)
    linear.bias = nn.Parameter(linear.bias.detach()[units].clone(), linear.bias.requires_grad)
    linear.out_features = len(units)


def _keep_columns(linear, units):
    linear.weight = nn.Parameter(linear.weight.detach()[:, units].clone(), linear.weight.requires_grad)
    linear.in_features = len(units)
