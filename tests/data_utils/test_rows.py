"""Which rows a run trains on: held-out rows and fractions."""

import numpy as np
import pytest

from data_utils.rows import choose_rows, split_rows


def test_smaller_fractions_lie_inside_larger_ones():
    parts = [set(choose_rows(1000, fraction, seed=3).tolist()) for fraction in (0.001, 0.01, 0.1, 0.5, 1.0)]
    assert [len(part) for part in parts] == [1, 10, 100, 500, 1000]
    assert all(smaller < larger for smaller, larger in zip(parts, parts[1:]))
    assert parts[2] != set(choose_rows(1000, 0.1, seed=4).tolist())


@pytest.mark.parametrize("rows, holdout, held_out", [(1000, 0.1, 100), (1000, 0.0, 0), (7, 0.01, 1)])
def test_held_out_rows_are_no_training_rows(rows, holdout, held_out):
    training, out = split_rows(rows, holdout)
    assert len(out) == held_out and sorted([*training, *out]) == list(range(rows))
    assert set(out) <= set(split_rows(rows, 0.25)[1])  # those of a larger part
    assert len(out) < 10 or abs(np.mean(out) - rows / 2) < rows / 8  # from all over the file


def test_the_rows_of_a_seed_are_the_same_in_every_version():
    """Masks and models of an earlier version would see held-out rows, if others were held out now."""
    assert split_rows(20, 0.25)[1].tolist() == [1, 5, 13, 16, 17]
    assert choose_rows(20, 0.25, seed=2018).tolist() == [3, 4, 9, 11, 14]
