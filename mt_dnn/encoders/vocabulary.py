"""Saves work on the embedding table: unused rows stay out of the training; its gradient is summed up once per update.

A small task uses a third of the table, and the table is half of a small model. A row that no text uses gets no
gradient: all that AdamW or Adamax does to it is decay (optim.py: WEIGHT_BY_WEIGHT). So gradients, their norm, the
optimizer's state and the checkpoints can do without it.

The library's embedding makes a gradient as large as the table, mostly zeros, in every backward pass, and adds it to
that of the passes before. A batch has several passes, one for each of its parts. Here a pass notes the gradients of its
tokens alone, and the table's gradient is filled with zeros and summed up once per update.
"""

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from data_utils.tokenized import TokenizedSplit
from mt_dnn.encoders.encoder import Encoder


class UsedRows(nn.Module):
    """The rows of some tokens of an encoder's word embeddings, in their place; ids of tokens stay the same.

    put_in() puts them there before a training, make_gradient_dense() comes before each update, put_back() after the
    last one.
    """

    used: torch.Tensor  # (tokens,) bool
    row: torch.Tensor  # (tokens,) where a used token's row is

    def __init__(self, whole: nn.Embedding, used: np.ndarray) -> None:
        """`used`: (tokens in the table,) bool, whether the token is used."""
        super().__init__()
        self.whole = [whole]  # in a list, so that its weights are not among this module's
        is_used = torch.from_numpy(used).to(whole.weight.device)
        self.register_buffer("used", is_used, persistent=False)
        self.register_buffer("row", is_used.cumsum(0) - 1, persistent=False)  # by token id
        self.weight = nn.Parameter(whole.weight.detach()[is_used])
        padding = whole.padding_idx
        self.padding = int(self.row[padding]) if padding is not None and used[padding] else None

    @classmethod
    def put_in(cls, encoder: Encoder, used: np.ndarray) -> "UsedRows":
        """Put the rows of `used` tokens, (tokens in the table,) bool, in the place of the encoder's word embeddings."""
        table = cls(cast(nn.Embedding, encoder.embeddings.word_embeddings), used)
        encoder.embeddings.word_embeddings = table
        return table

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(self.row[ids], self.weight, sparse=True)

    def make_gradient_dense(self) -> None:
        """Sum up the gradients that backward passes have noted for tokens, in a dense gradient of the table."""
        if self.weight.grad is not None and self.weight.grad.is_sparse:
            self.weight.grad = self.weight.grad.to_dense()
            if self.padding is not None:  # by padding_idx, every backward pass on a GPU would have to wait for it
                self.weight.grad[self.padding] = 0

    @torch.no_grad()
    def put_back(self, encoder: Encoder, decay: float) -> None:
        """Put the nn.Embedding back, with these rows as they are now, and the others times `decay`."""
        (whole,) = self.whole
        whole.weight[~self.used] *= decay
        whole.weight[self.used] = self.weight
        encoder.embeddings.word_embeddings = whole


def used_tokens(splits: Iterable[TokenizedSplit], size: int) -> np.ndarray:
    """Return (size,) bool: whether a token of that id is in any of `splits`, or pads them."""
    used = np.zeros(size, bool)
    for split in splits:
        for part in split.tokens_in_parts():
            used[part] = True
        used[split.header["pad_id"]] = True
    return used
