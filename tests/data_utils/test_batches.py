"""Batches: every row once, in parts, of one task or mixed."""

import numpy as np
import pytest

from data_utils.batches import mixed_batches, sorted_batches, training_batches


def test_training_batches_hold_every_row_once_and_change_with_epoch_and_seed():
    lengths = np.random.default_rng(0).integers(5, 200, 3001)
    batches = training_batches(lengths, 32, seed=1, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(3001)) and len(batches) == 94
    again, next_epoch, other = (training_batches(lengths, 32, *key) for key in ((1, 1), (1, 2), (2, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again))
    assert not np.array_equal(batches[0], next_epoch[0]) and not np.array_equal(batches[0], other[0])
    longest = [int(lengths[rows].max()) for rows in batches[:50]]
    assert longest != sorted(longest)  # short rows do not come first
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.1 * lengths.sum()  # in random order it would be about twice as much
    assert sorted(np.concatenate(sorted_batches(lengths, 64))) == list(range(3001))


def test_the_batches_of_a_seed_and_epoch_are_the_same_in_every_version():
    """A run that was stopped within an epoch goes on with the rest of its batches, maybe with newer code."""
    lengths = np.array([5, 9, 3, 7, 7, 12, 4, 8, 6, 10])
    batches = mixed_batches({"a": lengths, "b": lengths[:5]}, 3, seed=2018, epoch=2)
    a, b = ([rows.tolist() for name, rows in batches if name == task] for task in "ab")
    assert "".join(name for name, _ in batches) == "baabaa"
    assert a == [[7], [2, 6, 0], [1, 9, 5], [8, 3, 4]] and b == [[2, 0], [4, 3, 1]]


def test_the_smaller_batch_can_be_at_every_place_of_its_pool():
    lengths = np.random.default_rng(0).permutation(35)
    shortest = []
    for epoch in range(250):
        batches = training_batches(lengths, 8, seed=1, epoch=epoch)
        assert sorted(np.concatenate(batches)) == list(range(35)) and len(batches) == 5
        (small,) = (lengths[rows] for rows in batches if len(rows) < 8)
        assert list(small) == [small[0], small[0] + 1, small[0] + 2]
        shortest.append(small[0])
    times = dict(zip(*np.unique(shortest, return_counts=True)))
    assert list(times) == [0, 8, 16, 24, 32] and min(times.values()) > 30  # expected: 50 each


@pytest.mark.parametrize("tokens", [None, 1, 40, 300, 10**6])
def test_batches_are_cut_into_parts_of_so_many_tokens(tokens):
    lengths = np.random.default_rng(1).integers(3, 60, 500)
    whole, parts = sorted_batches(lengths, 32), sorted_batches(lengths, 32, tokens)
    assert np.array_equal(np.concatenate(parts), np.concatenate(whole))  # every row once, in the same order
    if tokens is None or tokens > 32 * 60:
        assert len(parts) == len(whole)
    for part in parts:
        assert len(part) <= 32 and (len(part) == 1 or tokens is None or len(part) * lengths[part].max() <= tokens)
    starts = np.cumsum([0, *map(len, parts)])
    assert set(range(0, 500, 32)) <= set(starts)  # no part has rows of two batches


def test_tasks_are_mixed_in_proportion_to_their_size_and_anew_every_epoch():
    rng = np.random.default_rng(0)
    lengths = {"large": rng.integers(3, 60, 3200), "small": rng.integers(3, 60, 325)}
    epochs = [mixed_batches(lengths, 32, 2018, epoch) for epoch in (1, 2)]
    for batches in epochs:
        for task, own in lengths.items():
            assert sorted(np.concatenate([rows for name, rows in batches if name == task])) == list(range(len(own)))
        turns = [name for name, _ in batches]
        assert 2 <= turns[:55].count("small") <= 9  # of 11 of 111, expected 5.5
    assert [name for name, _ in epochs[0]] != [name for name, _ in epochs[1]]
    assert not np.array_equal(
        np.concatenate([rows for _, rows in epochs[0]]), np.concatenate([rows for _, rows in epochs[1]])
    )
    again = mixed_batches(lengths, 32, 2018, 1)
    assert all(a[0] == b[0] and np.array_equal(a[1], b[1]) for a, b in zip(again, epochs[0]))
