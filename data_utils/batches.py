"""Which rows form a batch: rows of like length together, so that little of a batch is padding."""

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


def evaluation_batches(lengths, batch_size):
    """Return a list of index arrays that hold every row once, shortest rows first."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def choose_rows(n_rows, fraction, seed):
    """Return the indices, ascending, of a random `fraction` of the rows (at least one).

    With one seed, a smaller fraction's rows are all among a larger fraction's.
    """
    return np.sort(np.random.default_rng([seed, n_rows]).permutation(n_rows)[: max(1, round(fraction * n_rows))])
