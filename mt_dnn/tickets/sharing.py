"""Tickets sharing: a batch of a task runs through what the task's ticket leaves open of the shared encoder.

(Liang et al. 2021, Section 4.) The shared weights stay whole; a batch reads and updates its own task's
units, and computes no others.
"""

from operator import attrgetter

from torch.func import functional_call

from mt_dnn.tickets.prune import close_ffns, kept_parts


class SharedTicket:
    """A ticket in a shared encoder: call it as the encoder and get what the encoder pruned by the ticket would give.

    Gradients reach the shared weights. What the ticket closes gets exactly none: the rows and columns of
    closed heads a gradient of 0, the parameters of closed FFNs no gradient at all. So the optimizer
    leaves those of FFNs alone in the task's updates, while a closed head, inside weight matrices that
    have a gradient, still moves by what other tasks' batches left in the momentum, and decays.

    Made for the encoder on the device where it is; nothing of the encoder is copied or changed, beyond
    the modules of closed FFNs, which step aside during a call.
    """

    def __init__(self, encoder, ticket):
        self.encoder, self.ticket = encoder, ticket
        self.parts = kept_parts(encoder, ticket)

    def __call__(self, **inputs):
        open_weights = {name: attrgetter(name)(self.encoder).index_select(*part) for name, part in self.parts.items()}
        layers = [self.encoder.encoder.layer[index] for index in self.ticket.ffns]
        ffns = [(layer.intermediate, layer.output) for layer in layers]
        close_ffns(self.encoder, self.ticket)
        try:
            return functional_call(self.encoder, open_weights, kwargs=inputs)
        finally:
            for layer, (intermediate, output) in zip(layers, ffns):
                layer.intermediate, layer.output = intermediate, output
