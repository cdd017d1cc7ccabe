"""Gates on the outputs of heads and FFNs: closed by a ticket, or open and differentiable.

A head's context (its attention-weighted values, before the output projection) is multiplied by a gate, and so is the
output of an FFN (its second linear layer with the bias). A gate of 1 changes nothing. A gate of 0 closes the unit: a
layer whose FFN is closed gives LayerNorm of its attention output alone.

Gates are hooks around the library's modules, so every attention implementation works and the state dict keeps its
names.
"""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.families import family_of
from mt_dnn.tickets.ticket import Ticket


@contextlib.contextmanager
def gated(encoder: Encoder, heads: Tensor, ffns: Tensor) -> Iterator[None]:
    """Multiply by the gates `heads` and `ffns` within the block.

    `heads`: (layers, batch, length, heads), `ffns`: (layers, batch, length). Batch and length may be 1: one gate for
    all. Gradients flow into the gates.
    """
    layers, projection = encoder.encoder.layer, family_of(encoder.config).output
    head_size = encoder.config.hidden_size // encoder.config.num_attention_heads

    def fit(gate: Tensor, states: Tensor) -> Tensor:
        return gate[:, : states.shape[1]].to(states.dtype)  # the last layer may compute the first position alone

    def gate_context(gate: Tensor) -> Callable:
        def hook(module: nn.Module, inputs: tuple) -> tuple:
            context = inputs[0]
            by_head = context.unflatten(-1, (-1, head_size)) * fit(gate, context).unsqueeze(-1)
            return (by_head.flatten(-2), *inputs[1:])

        return hook

    def gate_ffn(gate: Tensor) -> Callable:
        return lambda module, inputs, output: output * fit(gate, output).unsqueeze(-1)

    handles = []
    try:
        for layer, head_gate, ffn_gate in zip(layers, heads, ffns, strict=True):
            handles.append(layer.get_submodule(projection).register_forward_pre_hook(gate_context(head_gate)))
            handles.append(layer.get_submodule("output.dense").register_forward_hook(gate_ffn(ffn_gate)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def ticket_gates(ticket: Ticket, layers: int, heads: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Return constant gates for gated(), 0 where `ticket` closes a unit: (layers, 1, 1, heads) and (layers, 1, 1)."""
    head_gates = torch.ones(layers, 1, 1, heads, device=device)
    ffn_gates = torch.ones(layers, 1, 1, device=device)
    for layer, head in ticket.heads:
        head_gates[layer, 0, 0, head] = 0
    for layer in ticket.ffns:
        ffn_gates[layer] = 0
    return head_gates, ffn_gates
