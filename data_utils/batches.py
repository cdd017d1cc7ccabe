"""Which rows form a batch: rows of like length together, so that little of a batch is padding; one task per batch."""

import math

import numpy as np

POOL = 50  # batches sorted together: long enough to sort well, short enough to mix rows anew every epoch


def training_batches(lengths, batch_size, seed, epoch):
    """Return a list of index arrays that hold every row once, in an order drawn from `seed` and `epoch`.

    Rows are shuffled, sorted by length within pools of POOL batches, cut into batches, and the batches
    shuffled. Only one batch can be smaller than `batch_size`.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    pool = POOL * batch_size
    batches = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def mixed_batches(lengths_by_task, batch_size, seed, epoch):
    """Return a list of (task, index array): the training batches of all tasks, mixed at random.

    Every row of every task comes up once, so the tasks are mixed in proportion to their sizes.
    """
    batches = {task: training_batches(lengths, batch_size, seed, epoch) for task, lengths in lengths_by_task.items()}
    turns = np.repeat(np.arange(len(batches)), [len(own) for own in batches.values()])
    np.random.default_rng([seed, epoch]).shuffle(turns)
    names, left = list(batches), {task: iter(own) for task, own in batches.items()}
    return [(names[turn], next(left[names[turn]])) for turn in turns]


def sorted_batches(lengths, batch_size, tokens=None):
    """Return a list of index arrays that hold every row once, shortest rows first, `batch_size` to a batch.

    A batch that would have more than `tokens` tokens, padding included, is cut into parts of like size that don't
    (but a part has at least one row).
    """
    order = np.argsort(lengths, kind="stable")
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if tokens is None:
        return batches
    at_once = [max(1, tokens // lengths[batch[-1]]) for batch in batches]
    return [
        part for batch, rows in zip(batches, at_once) for part in np.array_split(batch, math.ceil(len(batch) / rows))
    ]


def split_rows(n_rows, holdout):
    """Return (training rows, held-out rows): indices, ascending, a random part `holdout` (0 to 1) held out, at least one unless it is 0.

    It depends on nothing else, so that no run with any seed has trained on, or scored with, what another one holds out.
    """
    held_out = choose_rows(n_rows, holdout, seed=0) if holdout else np.arange(0)
    return np.setdiff1d(np.arange(n_rows), held_out), held_out


def choose_rows(n_rows, fraction, seed):
    """Return the indices, ascending, of a random `fraction` of the rows (at least one).

    With one seed, a smaller fraction's rows are all among a larger fraction's.
    """
    return np.sort(np.random.default_rng([seed, n_rows]).permutation(n_rows)[: max(1, round(fraction * n_rows))])
