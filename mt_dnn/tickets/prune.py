"""Take a ticket out of the weights for good: the encoder gets smaller and faster, and computes what it
would compute with the ticket's gates closed."""

from operator import attrgetter

import torch
from torch import nn

from mt_dnn.encoders.families import family_of


def prune(encoder, ticket):
    """Remove the ticket's heads and FFNs from `encoder` (that of a Model), in place.

    Heads: their rows of query, key and value, their columns of the output projection; attention reads
    the number of heads from the width that is left. FFNs: both linear layers; the LayerNorm stays.
    """
    for name, (dimension, units) in kept_parts(encoder, ticket).items():
        module, _, kind = name.rpartition(".")
        module, whole = encoder.get_submodule(module), attrgetter(name)(encoder)
        part = whole.detach().index_select(dimension, units)
        setattr(module, kind, nn.Parameter(part, whole.requires_grad) if isinstance(whole, nn.Parameter) else part)
        if isinstance(module, nn.Linear):
            module.out_features, module.in_features = module.weight.shape
    close_ffns(encoder, ticket)


def kept_parts(encoder, ticket):
    """Return what stays of the projections of layers that lose heads: {name of a parameter or buffer: (dimension, indices along it)}."""
    n_heads, family = encoder.config.num_attention_heads, family_of(encoder.config)
    size, parts = encoder.config.hidden_size // n_heads, {}
    for layer in sorted({layer for layer, _ in ticket.heads}):
        keep = [head for head in range(n_heads) if (layer, head) not in ticket.heads]
        units = torch.cat([torch.arange(head * size, (head + 1) * size) for head in keep]).to(encoder.device)
        prefix = f"encoder.layer.{layer}."
        for projection in (family.query, family.key, family.value):
            parts[f"{prefix}{projection}.weight"] = parts[f"{prefix}{projection}.bias"] = (0, units)
        parts[f"{prefix}{family.output}.weight"] = (1, units)
        if family.relative_positions:
            parts[f"{prefix}attention.attn.open_heads"] = (0, torch.tensor(keep, device=encoder.device))
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
