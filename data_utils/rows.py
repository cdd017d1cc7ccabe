"""Which rows a run trains on, and which are held out."""

import numpy as np


def split_rows(n_rows: int, holdout: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (training rows, held-out rows), indices, ascending.

    A random part `holdout` (0 to 1) is held out, at least one row unless `holdout` is 0. The choice depends on `n_rows`
    and `holdout` alone, not on a seed. So no run trains on rows, or scores with rows, that another run holds out. The
    rows of a smaller `holdout` are all among those of a larger one.
    """
    held_out = choose_rows(n_rows, holdout, seed=0) if holdout else np.arange(0)
    return np.setdiff1d(np.arange(n_rows), held_out), held_out


def choose_rows(n_rows: int, fraction: float, seed: int) -> np.ndarray:
    """Return the indices, ascending, of a random `fraction` of the rows (at least one).

    For one seed, the rows of a smaller fraction are all among those of a larger fraction.
    """
    return np.sort(np.random.default_rng([seed, n_rows]).permutation(n_rows)[: max(1, round(fraction * n_rows))])
