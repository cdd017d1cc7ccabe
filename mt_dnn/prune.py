"""Take a ticket out of the weights for good: the encoder gets smaller and faster, and computes what it
would compute with the ticket's gates closed."""

import torch
from torch import nn


def prune(encoder, ticket):
    """Remove the ticket's heads and FFNs from `encoder` (a library BERT), in place.

    Heads: their rows of query, key and value, their columns of the output projection; attention reads
    the number of heads from the width that is left. FFNs: both linear layers; the LayerNorm stays.
    """
    for name, (dimension, units) in kept_parts(encoder, ticket).items():
        module, _, kind = name.rpartition(".")
        linear, whole = encoder.get_submodule(module), encoder.get_parameter(name)
        setattr(linear, kind, nn.Parameter(whole.detach().index_select(dimension, units), whole.requires_grad))
        linear.out_features, linear.in_features = linear.weight.shape
    close_ffns(encoder, ticket)


def kept_parts(encoder, ticket):
    """Return what stays of the projections of layers that lose heads: {parameter name: (dimension, indices along it)}."""
    n_heads = encoder.config.num_attention_heads
    size, parts = encoder.config.hidden_size // n_heads, {}
    for layer in sorted({layer for layer, _ in ticket.heads}):
        keep = [head for head in range(n_heads) if (layer, head) not in ticket.heads]
        units = torch.cat([torch.arange(head * size, (head + 1) * size) for head in keep]).to(encoder.device)
        attention = f"encoder.layer.{layer}.attention"
        for projection in ("query", "key", "value"):
            parts[f"{attention}.self.{projection}.weight"] = parts[f"{attention}.self.{projection}.bias"] = (0, units)
        parts[f"{attention}.output.dense.weight"] = (1, units)
    return parts


def close_ffns(encoder, ticket):
    """Take the ticket's FFNs out of `encoder`, in place; their LayerNorms stay, the same ones."""
    for index in ticket.ffns:
        layer = encoder.encoder.layer[index]
        layer.intermediate, layer.output = nn.Identity(), ClosedFFN(layer.output.LayerNorm)


class ClosedFFN(nn.Module):
    """What is left of a layer's FFN when its gate is closed: LayerNorm of the attention output."""

    def __init__(self, layer_norm):
        super().__init__()
        self.LayerNorm = layer_norm

    def forward(self, hidden_states, input_tensor):
        return self.LayerNorm(input_tensor)
