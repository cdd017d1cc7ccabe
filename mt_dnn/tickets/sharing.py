"""Tickets sharing (Liang et al. 2021, Section 4): a task's batch runs through the units that its ticket leaves open.

The shared weights stay whole. A batch computes and reads only the units of its own task. Its update still moves closed
heads: see SharedTicket.
"""

import contextlib
from collections.abc import Collection, Iterator
from operator import attrgetter
from typing import Any

import torch
from torch.func import functional_call
from transformers.modeling_outputs import BaseModelOutputWithPooling

from mt_dnn.encoders.encoder import Encoder
from mt_dnn.tickets.prune import closed_slices, ffns_closed, kept_slices
from mt_dnn.tickets.ticket import Ticket


class SharedTicket:
    """A ticket in a shared encoder. Call it like the encoder; it gives what the pruned encoder would give.

    Gradients reach the shared weights. The parameters of closed FFNs get no gradient, so the optimizer leaves them
    alone. Closed heads are rows and columns of weight matrices; these rows and columns get a gradient of 0. So in the
    task's updates a closed head still decays, and still moves by the momentum that other tasks' batches left. The code
    released with the paper does the same. closed_heads_kept() prevents it.

    Make it when the encoder is on its device. The encoder is not copied: a call replaces some of its weights and FFNs,
    and puts them back at its end.
    """

    def __init__(self, encoder: Encoder, ticket: Ticket) -> None:
        self.encoder, self.ticket = encoder, ticket
        self.slices = kept_slices(encoder, ticket)

    def __call__(self, **inputs: Any) -> BaseModelOutputWithPooling:
        # Looked up in every call: while Bfloat16Copies computes, its copies have these names.
        open_weights = {
            name: attrgetter(name)(self.encoder).index_select(dim, index) for name, (dim, index) in self.slices.items()
        }
        with ffns_closed(self.encoder, self.ticket):
            # No encoder here has tied weights, and to look for them in every call takes time.
            return functional_call(self.encoder, open_weights, kwargs=inputs, tie_weights=False)


@contextlib.contextmanager
def closed_heads_kept(
    encoder: Encoder, tickets: Collection[Ticket], optimizer: torch.optim.Optimizer
) -> Iterator[None]:
    """Within the block, around an optimizer's step, keep the heads that all `tickets` close.

    `tickets`: of the tasks whose batches the update was computed from. After the block, the weights, biases and entries
    of the optimizer's state of these heads are what they were before it. FFNs that all tickets close need no such care:
    they have no gradient, so the optimizer leaves them alone.

    The optimizer's bias correction counts the updates of the whole matrix, also those in which a head was kept.
    """
    ticket = closed_by_all(tickets)
    kept = []
    for name, (dim, index) in closed_slices(encoder, ticket).items():
        parameter = encoder.get_parameter(name)
        state = optimizer.state.get(parameter, {})
        alike = [value for value in state.values() if getattr(value, "shape", None) == parameter.shape]
        kept += [(tensor, dim, index, tensor.index_select(dim, index)) for tensor in (parameter.data, *alike)]
    yield
    for tensor, dim, index, values in kept:
        tensor.index_copy_(dim, index, values)


def closed_by_all(tickets: Collection[Ticket]) -> Ticket:
    """Return the units that all `tickets` close."""
    return Ticket(
        frozenset.intersection(*(ticket.heads for ticket in tickets)),
        frozenset.intersection(*(ticket.ffns for ticket in tickets)),
    )
