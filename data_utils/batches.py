"""Which rows form a batch. Rows of similar length go together, so that little of it is padding. A batch has one task.

`lengths` is an array of tokens per row throughout, and a batch an array of indices into it.
"""

import math

import numpy as np

# Batches sorted together: long enough to sort well, short enough to mix rows anew every epoch. A task of fewer batches
# is one pool. Its batches then hold nearly the same rows in every epoch. They change by rows of equal length, and by
# the place of the smaller batch.
POOL = 50

Batch = np.ndarray  # (rows,) indices


def training_batches(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """Return batches that hold every row once, in an order drawn from `seed` and `epoch`.

    Rows are shuffled, sorted by length within pools of POOL batches, cut into batches, and the batches shuffled. Only
    one batch can be smaller than `batch_size`. Its place in its pool is drawn: a row of a small batch counts more in
    the mean over the batch, and this must not always be a long one.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    pool = POOL * batch_size
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        whole, rest = divmod(len(rows), batch_size)
        sizes = [batch_size] * whole
        if rest:
            sizes.insert(rng.integers(whole + 1), rest)
        batches += np.split(rows, np.cumsum(sizes[:-1]))
    return [batches[i] for i in rng.permutation(len(batches))]


def mixed_batches(
    lengths_by_task: dict[str, np.ndarray], batch_size: int, seed: int, epoch: int
) -> list[tuple[str, Batch]]:
    """Return [(task, batch)]: the training batches of all tasks, mixed at random.

    Every row of every task comes up once, so the tasks are mixed in proportion to their sizes.
    """
    batches = {task: training_batches(lengths, batch_size, seed, epoch) for task, lengths in lengths_by_task.items()}
    turns = np.repeat(list(batches), [len(its_batches) for its_batches in batches.values()])
    np.random.default_rng([seed, epoch]).shuffle(turns)
    left = {task: iter(its_batches) for task, its_batches in batches.items()}
    return [(task, next(left[task])) for task in turns.tolist()]


def sorted_batches(lengths: np.ndarray, batch_size: int, tokens: int | None = None) -> list[Batch]:
    """Return batches that hold every row once, shortest rows first, `batch_size` rows in each.

    A batch of more than `tokens` tokens, padding included, is cut into parts of about equal size, each within `tokens`
    (but of at least one row).
    """
    order = np.argsort(lengths, kind="stable")
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if tokens is None:
        return batches
    at_once = [max(1, tokens // lengths[batch[-1]]) for batch in batches]
    return [
        part for batch, rows in zip(batches, at_once) for part in np.array_split(batch, math.ceil(len(batch) / rows))
    ]


def batches_of_few_shapes(lengths: np.ndarray, batch_size: int, tokens: int, longest: int) -> list[tuple[Batch, int]]:
    """Cut sorted_batches() into parts of few different shapes; return [(part of a batch, its padded length)].

    A shape is (rows, padded length). oneDNN multiplies matrices in bfloat16 on a CPU and compiles a kernel for every
    shape that it has not seen. In an epoch of RTE's lengths, sorted_batches() gives about 100 shapes. This function
    gives about 20, for less than 10 % more padding. A pruned model needs most of these kernels once for every layer,
    as its layers differ in width.

    Lengths are padded to padded_length(), but never beyond `longest`. A batch that then has at most `tokens` tokens,
    padding included, stays whole. A longer one is cut into parts of 1, 2, 4, 8, ... rows, each as large as `tokens`
    allows; when the rest fits into `tokens`, it is the last part.
    """
    parts = []
    for batch in sorted_batches(lengths, batch_size):
        padded, start = [min(padded_length(length), longest) for length in lengths[batch]], 0
        while start < len(batch):
            rows = len(batch) - start
            while rows > 1 and rows * padded[start + rows - 1] > tokens:
                rows = 1 << ((rows - 1).bit_length() - 1)  # the next smaller power of two
            parts.append((batch[start : start + rows], padded[start + rows - 1]))
            start += rows
    return parts


def padded_length(length: int) -> int:
    """Return the length that rows of up to `length` tokens are padded to, so that there are few lengths.

    They are 1 to 16, the even ones to 32, then four in every doubling: 40, 48, 56, 64, 80, 96, 112, 128, 160, ...
    """
    step = max(1, (1 << (int(length) - 1).bit_length()) // (16 if length <= 32 else 8))
    return math.ceil(length / step) * step
