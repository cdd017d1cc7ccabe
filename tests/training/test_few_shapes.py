"""Batches in bfloat16 on a CPU have few shapes, for little more padding."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from data_utils.batches import batches_of_few_shapes, padded_length, sorted_batches, training_batches
from experiments.benchmark import made_up
from mt_dnn.training.micro_batches import MicroBatches

TOKENS = 2048  # at once on a CPU


def parts_of_an_epoch(texts, cut):
    """[(rows, padded length)] of all parts of an epoch's batches of 32 rows."""
    lengths = made_up.lengths_like(texts)
    return [
        (len(part), length)
        for batch in training_batches(lengths, 32, seed=2018, epoch=1)
        for part, length in cut(lengths[batch])
    ]


@pytest.mark.parametrize("texts", made_up.TEXTS)
def test_an_epoch_has_at_most_forty_shapes_for_a_tenth_more_padding(texts):
    few = parts_of_an_epoch(texts, lambda lengths: batches_of_few_shapes(lengths, 32, TOKENS, 512))
    own = parts_of_an_epoch(
        texts,
        lambda lengths: [(part, lengths[part].max()) for part in sorted_batches(lengths, 32, TOKENS)],
    )
    assert len(set(few)) <= 40 < len(set(own))
    assert sum(rows * length for rows, length in few) < 1.1 * sum(rows * length for rows, length in own)


@pytest.mark.parametrize("texts", made_up.TEXTS)
def test_in_bfloat16_on_a_cpu_a_model_gets_few_shapes_in_training_and_evaluation(texts):
    split = made_up.make_split(made_up.lengths_like(texts)[:2000])
    config = transformers.BertConfig(num_hidden_layers=1, hidden_size=12, vocab_size=5)  # for rows of up to 512 tokens
    model = SimpleNamespace(device=torch.device("cpu"), encoder=transformers.BertModel(config))

    def shapes(precision):
        parts = MicroBatches.for_model(model, precision, TOKENS)
        batches = training_batches(split.lengths, 32, seed=2018, epoch=1)
        trained = [part for batch in batches for part, _ in parts.of_batch(split, batch)]
        evaluated = [part for _, part in parts.of_split(split, 64)]
        return {part["input_ids"].shape for part in trained}, {part["input_ids"].shape for part in evaluated}

    (trained, evaluated), (own_lengths, _) = shapes("bfloat16"), shapes("float32")
    assert max(len(trained), len(evaluated)) <= 40 and len(trained) < len(own_lengths)


@pytest.mark.parametrize("tokens", [1, 40, 300, 10**6])
def test_few_shapes_hold_every_row_once_and_no_more_tokens_than_asked_for(tokens):
    lengths = np.random.default_rng(1).integers(3, 60, 500)
    parts = batches_of_few_shapes(lengths, 32, tokens, longest=59)
    assert np.array_equal(
        np.concatenate([part for part, _ in parts]), np.concatenate(sorted_batches(lengths, 32))
    )  # in the same order
    for part, length in parts:
        assert len(part) <= 32 and (len(part) == 1 or len(part) * length <= tokens)
        assert lengths[part].max() <= length == min(59, padded_length(lengths[part].max()))
    assert set(range(0, 500, 32)) <= set(np.cumsum([0, *(len(part) for part, _ in parts)]))  # no part of two batches


def test_lengths_are_padded_to_four_lengths_in_every_doubling():
    padded = [padded_length(length) for length in range(1, 513)]
    assert all(length <= to for length, to in enumerate(padded, 1)) and padded == sorted(padded)
    assert sorted(set(padded))[-16:] == [40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512]
