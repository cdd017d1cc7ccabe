"""Tickets sharing (Liang et al. 2021, Section 4): a task's batch runs through the units that its ticket leaves open.

The shared weights stay whole. A batch reads and updates the units of its own task, and computes no others.
"""

import contextlib
from collections.abc import Collection, Iterator
from operator import attrgetter
from typing import Any

import torch
from torch.func import functional_call
from transformers.modeling_outputs import BaseModelOutputWithPooling

from mt_dnn.encoders.encoder import Encoder
from mt_dnn.tickets.prune import close_ffns, closed_parts, kept_parts
from mt_dnn.tickets.ticket import Ticket


class SharedTicket:
    """A ticket in a shared encoder: call it as the encoder and get what the encoder pruned by the ticket would give.

    Gradients reach the shared weights. What the ticket closes gets exactly none: the rows and columns of
    closed heads a gradient of 0, the parameters of closed FFNs no gradient at all. So the optimizer
    leaves those of FFNs alone in the task's updates, while a closed head, inside weight matrices that
    have a gradient, still moves by what other tasks' batches left in the momentum, and decays. The code
    released with the paper does the same. closed_heads_kept() prevents it.

    Made for the encoder on the device where it is; nothing of the encoder is copied or changed, beyond
    the modules of closed FFNs, which step aside during a call.
    """

    def __init__(self, encoder: Encoder, ticket: Ticket) -> None:
        self.encoder, self.ticket = encoder, ticket
        self.parts = kept_parts(encoder, ticket)

    def __call__(self, **inputs: Any) -> BaseModelOutputWithPooling:
        open_weights = {name: attrgetter(name)(self.encoder).index_select(*part) for name, part in self.parts.items()}
        layers = [self.encoder.encoder.layer[index] for index in self.ticket.ffns]
        ffns = [(layer.intermediate, layer.output) for layer in layers]
        close_ffns(self.encoder, self.ticket)
        try:
            return functional_call(self.encoder, open_weights, kwargs=inputs)
        finally:
            for layer, (intermediate, output) in zip(layers, ffns):
                layer.intermediate, layer.output = intermediate, output


@contextlib.contextmanager
def closed_heads_kept(
    encoder: Encoder, tickets: Collection[Ticket], optimizer: torch.optim.Optimizer
) -> Iterator[None]:
    """Around an optimizer's step: keep the heads that all `tickets` close, those of the tasks whose batches the update
    is of.

    Their weights, biases and entries of the optimizer's state are after the block what they were before it. FFNs that
    all tickets close have no gradient, and so the optimizer leaves them alone without this.

    The number of updates, by which an optimizer corrects the bias of its moments, is the matrix's, not the head's.
    """
    ticket = closed_by_all(tickets)
    entries = []
    for name, part in closed_parts(encoder, ticket).items():
        parameter = encoder.get_parameter(name)
        state = optimizer.state.get(parameter, {})
        tensors = [parameter.data, *(value for value in state.values() if value.shape == parameter.shape)]
        entries += [(tensor, part, tensor.index_select(*part)) for tensor in tensors]
    yield
    for tensor, (dimension, units), before in entries:
        tensor.index_copy_(dimension, units, before)


def closed_by_all(tickets: Collection[Ticket]) -> Ticket:
    """The units that every one of `tickets` closes."""
    return Ticket(
        frozenset.intersection(*(ticket.heads for ticket in tickets)),
        frozenset.intersection(*(ticket.ffns for ticket in tickets)),
    )
