"""The limit: floating-point operations that the real tokens need, over this machine's rate of matrix products."""

import time

import numpy as np
import torch
from transformers import BertConfig

from mt_dnn.tickets.ticket import DENSE, Ticket

REPEATS = 9
AT_ONCE = {"cpu": 1, "cuda": 100}  # products between two waits: on a GPU a wait takes longer than a product
TRAINING, SCORING, FORWARD = 3, 2, 1  # passes: forward, back to the layer's input, back to its weights


def operations(config: BertConfig, lengths: np.ndarray, passes: int, ticket: Ticket = DENSE) -> float:
    """Return the floating-point operations of the matrix products in the layers of a BERT, without padding.

    The rows have the given `lengths`. A multiplication and an addition are two operations. Of the last layer the pooler
    needs the first position only; what the others would do there beyond keys and values does not count. Embeddings,
    pooler and task head are left out.
    """
    hidden, ffn, total = config.hidden_size, config.intermediate_size, 0
    tokens, pairs, rows = lengths.sum(), (lengths**2).sum(), len(lengths)
    for layer in range(config.num_hidden_layers):
        last = layer == config.num_hidden_layers - 1
        queries, scores = (rows, tokens) if last else (tokens, pairs)
        width = (
            hidden
            * sum((layer, head) not in ticket.heads for head in range(config.num_attention_heads))
            / config.num_attention_heads
        )
        total += 2 * hidden * width * 2 * tokens + 2 * hidden * width * 2 * queries + 2 * width * 2 * scores
        total += 2 * hidden * ffn * 2 * queries * (layer not in ticket.ffns)
    return passes * total


def matrix_rate(config: BertConfig, tokens: int, device: torch.device, dtype: torch.dtype) -> float:
    """Return the operations per second of a layer's matrix products for `tokens` rows.

    The products: queries and the two of the FFN; forward, back to the input and back to the weights. The time of each
    product is the median over REPEATS. On a GPU, many are computed between two waits.
    """
    done, seconds = 0, 0.0
    for wide, narrow in (
        (config.hidden_size, config.hidden_size),
        (config.hidden_size, config.intermediate_size),
        (config.intermediate_size, config.hidden_size),
    ):
        inputs, weights, outputs = (
            torch.randn(shape, device=device, dtype=dtype)
            for shape in ((tokens, wide), (narrow, wide), (tokens, narrow))
        )
        for left, right in ((inputs, weights.t()), (outputs, weights), (outputs.t(), inputs)):
            result, times = torch.mm(left, right), []
            for _ in range(REPEATS):
                wait(device)
                started = time.perf_counter()
                for _ in range(AT_ONCE[device.type]):
                    torch.mm(left, right, out=result)
                wait(device)
                times.append((time.perf_counter() - started) / AT_ONCE[device.type])
            seconds += float(np.median(times))
            done += 2 * tokens * wide * narrow
    return done / seconds


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()
