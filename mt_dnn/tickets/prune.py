"""Take the heads and FFNs that a ticket closes out of the weights for good.

The encoder gets smaller and faster, and gives what it would give with their gates closed.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.families import family_of
from mt_dnn.tickets.ticket import Ticket

# {name of a parameter or buffer of an encoder: (dim, index)}: some rows or columns of it, for torch.index_select
Slices = dict[str, tuple[int, torch.Tensor]]


def prune(encoder: Encoder, ticket: Ticket) -> None:
    """Remove the heads and FFNs that `ticket` closes from `encoder` (that of a Model), in place.

    Heads: their rows of query, key and value, and their columns of the output projection. Attention reads the number of
    heads from the width that is left. FFNs: both linear layers; the LayerNorm stays.
    """
    for name, (dim, index) in kept_slices(encoder, ticket).items():
        path, _, attribute = name.rpartition(".")
        module = encoder.get_submodule(path)
        whole = getattr(module, attribute)
        part = whole.detach().index_select(dim, index)
        setattr(module, attribute, nn.Parameter(part, whole.requires_grad) if isinstance(whole, nn.Parameter) else part)
        if isinstance(module, nn.Linear):
            module.out_features, module.in_features = module.weight.shape
    close_ffns(encoder, ticket)


def removed_weights(encoder: Encoder, ticket: Ticket) -> list[torch.Tensor]:
    """Return all that prune() removes: the weights and biases of the closed heads and FFNs."""
    slices = closed_slices(encoder, ticket)
    heads = [encoder.get_parameter(name).index_select(dim, index) for name, (dim, index) in slices.items()]
    layers = [encoder.encoder.layer[ffn] for ffn in sorted(ticket.ffns)]
    linears = [layer.get_submodule(f"{name}.dense") for layer in layers for name in ("intermediate", "output")]
    return heads + [parameter for linear in linears for parameter in linear.parameters()]


def kept_slices(encoder: Encoder, ticket: Ticket) -> Slices:
    """Return what stays of the projections of layers that lose heads."""
    return _slices(encoder, ticket, closed=False)


def closed_slices(encoder: Encoder, ticket: Ticket) -> Slices:
    """Return the weights and biases of the closed heads: what kept_slices leaves of the same projections."""
    return _slices(encoder, ticket, closed=True)


def _slices(encoder: Encoder, ticket: Ticket, closed: bool) -> Slices:
    heads_per_layer, family = encoder.config.num_attention_heads, family_of(encoder.config)
    head_size, slices = encoder.config.hidden_size // heads_per_layer, {}
    for layer in sorted({layer for layer, _ in ticket.heads}):
        heads = [head for head in range(heads_per_layer) if ((layer, head) in ticket.heads) == closed]
        # Made on the device: a GPU would have to wait for indices that are copied to it.
        of_heads = [torch.arange(head * head_size, (head + 1) * head_size, device=encoder.device) for head in heads]
        index = torch.cat(of_heads)
        prefix = f"encoder.layer.{layer}."
        for projection in (family.query, family.key, family.value):
            slices[f"{prefix}{projection}.weight"] = slices[f"{prefix}{projection}.bias"] = (0, index)
        slices[f"{prefix}{family.output}.weight"] = (1, index)
        if family.relative_positions and not closed:
            slices[f"{prefix}attention.attn.open_heads"] = (0, torch.tensor(heads, device=encoder.device))
    return slices


def close_ffns(encoder: Encoder, ticket: Ticket) -> None:
    """Take the closed FFNs out of `encoder`, in place. Their LayerNorms stay, the same ones."""
    for ffn in ticket.ffns:
        layer = encoder.encoder.layer[ffn]
        layer.intermediate, layer.output = nn.Identity(), ClosedFFN(layer.get_submodule("output.LayerNorm"))


@contextlib.contextmanager
def ffns_closed(encoder: Encoder, ticket: Ticket) -> Iterator[None]:
    """Within the block, the closed FFNs are out of `encoder`; after it, the same modules are back."""
    layers = [encoder.encoder.layer[ffn] for ffn in ticket.ffns]
    ffns = [(layer.intermediate, layer.output) for layer in layers]
    close_ffns(encoder, ticket)
    try:
        yield
    finally:
        for layer, (intermediate, output) in zip(layers, ffns):
            layer.intermediate, layer.output = intermediate, output


class ClosedFFN(nn.Module):
    """What is left of a layer's FFN when its gate is closed: LayerNorm of the attention output."""

    def __init__(self, layer_norm: nn.Module) -> None:
        super().__init__()
        self.LayerNorm = layer_norm

    def forward(self, hidden_states: torch.Tensor, input_tensor: torch.Tensor) -> torch.Tensor:
        """Return the LayerNorm of `input_tensor`, the attention output; `hidden_states` are the same."""
        return self.LayerNorm(input_tensor)
