"""The rows of the embedding table that a training's texts use; the others wait aside.

A small task uses a third of the table, and the table is half of a small model. A row that no text uses gets no
gradient: all that an optimizer does to it is decay. So it need not be in the gradients, their norm, the optimizer's
state and the checkpoints.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class UsedRows(nn.Module):
    """An nn.Embedding's rows of some tokens, in its place; its ids stay the same."""

    def __init__(self, whole, used):
        """`whole`: the nn.Embedding; `used`: (tokens in its table,), whether the token is used."""
        super().__init__()
        self.whole = [whole]  # in a list, so that its weights are none of this module's
        used = torch.from_numpy(used).to(whole.weight.device)
        self.register_buffer("used", used, persistent=False)
        self.register_buffer("row", used.cumsum(0) - 1, persistent=False)  # by token id
        self.weight = nn.Parameter(whole.weight.detach()[used])
        padding = whole.padding_idx
        self.padding = int(self.row[padding]) if padding is not None and used[padding] else None

    def forward(self, ids):
        return functional.embedding(self.row[ids], self.weight, self.padding)

    @torch.no_grad()
    def put_back(self, factors):
        """Return the nn.Embedding with these rows as they are now, and the others multiplied by every one of `factors`, in their order.

        That gives the very numbers that an optimizer would have left, had it decayed them in every update.
        """
        (whole,) = self.whole
        others = whole.weight[~self.used]
        at_once = (
            2**16 if others.device.type == "cpu" else max(1, others.numel())
        )  # what fits a CPU's cache, through all updates
        for part in others.view(-1).split(at_once):
            for factor in factors:
                part.mul_(factor)
        whole.weight[~self.used] = others
        whole.weight[self.used] = self.weight
        return whole


def used_tokens(splits, size):
    """Return (size,) bool: whether a token of that id is in any of `splits`, or pads them."""
    used = np.zeros(size, bool)
    for split in splits:
        for part in split.tokens_in_parts():
            used[part] = True
        used[split.header["pad_id"]] = True
    return used
