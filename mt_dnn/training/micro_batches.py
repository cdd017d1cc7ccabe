"""Micro-batches: a batch is computed in parts that have few tokens, and the gradients of the parts are summed up.

What is computed stays the same up to rounding, and dropout's random numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from data_utils.batches import batches_of_few_shapes, sorted_batches
from data_utils.tokenized import TokenizedSplit
from mt_dnn.encoders.encoder import TaskModel
from mt_dnn.encoders.families import max_positions
from mt_dnn.runtime.distributed import shard
from mt_dnn.runtime.log import progress_bar
from mt_dnn.runtime.machine import to_device

MicroBatch = dict[str, torch.Tensor]  # on its device


def choose_tokens_at_once(tokens: int, device: torch.device, plain: bool = False) -> int | None:
    """Return how many tokens are computed at once, for --tokens_at_once (0: choose); None, a whole batch, if `plain`.

    On a CPU it is 2048: a layer's values then stay in the cache, and memory stays small. On a GPU it is 8192, enough to
    keep it busy. Only the longest rows form larger batches (32 rows of 512 tokens have 16384), and they would decide
    how much memory BERT-large needs.
    """
    return None if plain else tokens or (2048 if device.type == "cpu" else 8192)


@dataclass(frozen=True)
class MicroBatches:
    """Cuts batches into micro-batches of at most `tokens` tokens, padding included (None: a batch is one).

    `few_shapes_up_to`: they are padded to a few different lengths, up to this one (see batches_of_few_shapes()); None:
    each is padded to its own longest row.
    """

    device: torch.device
    tokens: int | None = None
    few_shapes_up_to: int | None = None

    @classmethod
    def for_model(cls, model: TaskModel, precision: str, tokens: int | None) -> "MicroBatches":
        """Return the MicroBatches for training or evaluating `model`.

        They have few shapes where oneDNN multiplies: in bfloat16 on a CPU. In float32 that would only add padding.
        """
        on_onednn = precision == "bfloat16" and model.device.type == "cpu" and tokens
        return cls(model.device, tokens, max_positions(model.encoder) if on_onednn else None)

    def of_batch(self, split: TokenizedSplit, rows: np.ndarray) -> Iterator[tuple[MicroBatch, float]]:
        """Yield (micro-batch, weight of its loss) for this process's rows of a training batch, the `rows` of `split`.

        A process that gets no row of the batch takes another process's row with weight 0. So all processes have
        gradients of the same parameters to sum up.
        """
        mine = shard(rows)
        taken, weight = (mine, 1.0) if len(mine) else (rows[:1], 0.0)
        for part, length in self._cut(split.lengths[taken], len(taken)):
            yield to_device(split.batch(taken[part], length), self.device), weight

    def of_split(self, split: TokenizedSplit, batch_size: int) -> Iterator[tuple[np.ndarray, MicroBatch]]:
        """Yield (its rows, micro-batch) for this process's rows of the split, in batches of rows of similar length."""
        batches = shard(self._cut(split.lengths, batch_size))
        for rows, length in progress_bar(batches, desc="evaluation", unit="micro-batch"):
            yield rows, to_device(split.batch(rows, length), self.device)

    def _cut(self, lengths: np.ndarray, batch_size: int) -> list[tuple[np.ndarray, int]]:
        """Cut rows of these `lengths` into batches, and these into micro-batches: (rows, length after padding)."""
        if self.few_shapes_up_to and self.tokens:
            return batches_of_few_shapes(lengths, batch_size, self.tokens, self.few_shapes_up_to)
        return [(part, int(lengths[part].max())) for part in sorted_batches(lengths, batch_size, self.tokens)]
