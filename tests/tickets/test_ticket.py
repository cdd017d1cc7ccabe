import numpy as np
import pytest

from data_utils.errors import UserError
from mt_dnn.tickets.super_tickets import read_super_tickets
from mt_dnn.tickets.ticket import (
    DENSE,
    Shape,
    Ticket,
    average_counts,
    choose,
    counts_at,
    rankings,
    remaining_weights,
    removed_parameters,
)

SHAPES = [(12, 12), (24, 16), (6, 12)]
BERT_BASE = Shape(12, 12, 768, 3072, 109_482_240)


def scores(layers, heads, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((layers, heads)), rng.random(layers)


def test_counts_of_bert_base():
    levels = [f"0.{tenths}" for tenths in range(1, 9)]
    assert [counts_at(level, 12, 12) for level in levels] == [
        (14, 1),
        (28, 2),
        (43, 3),
        (57, 4),
        (72, 6),
        (86, 7),
        (100, 8),
        (115, 9),
    ]


def test_counts_of_bert_large():
    assert [counts_at(level, 24, 16) for level in ("0.05", "0.10", "0.20", "0.30", "0.35", "0.40")] == [
        (19, 1),
        (38, 2),
        (76, 4),
        (115, 7),
        (134, 8),
        (153, 9),
    ]


@pytest.mark.parametrize(
    "sparsity, layers, heads, expected",
    [
        ("0.3", 10, 1, (0, 3)),
        (0.3, 10, 10, (30, 3)),
        ("0.7", 10, 10, (70, 7)),
        ("0.29", 10, 10, (29, 2)),
        ("0.30:0.25", 12, 12, (43, 3)),
        ("0", 12, 12, (0, 0)),
    ],
)
def test_counts_have_no_float_dust(sparsity, layers, heads, expected):
    assert counts_at(sparsity, layers, heads) == expected


@pytest.mark.parametrize("layers, heads", SHAPES)
def test_full_sparsity_keeps_a_head_per_layer(layers, heads):
    assert counts_at("1.0", layers, heads) == (layers * (heads - 1), layers)
    assert counts_at("1.0", layers, heads, min_heads_per_layer=3) == (layers * (heads - 3), layers)


@pytest.mark.parametrize(
    "sparsity", ["1.1", "-0.1", "half", "", "0.1:0.2:0.3", "nan", "1/0", "1e-999999999", "０.５", "0.5:", "0_1"]
)
def test_bad_sparsities_are_refused(sparsity):
    with pytest.raises(UserError, match="expected a number from 0 to 1"):
        counts_at(sparsity, 12, 12)


@pytest.mark.parametrize("layers, heads", SHAPES)
@pytest.mark.parametrize("sparsity", ["0.1", "0.4", "0.8", "1.0"])
def test_kinds_close_equally_many_and_never_a_whole_layer(layers, heads, sparsity):
    n_heads, n_ffns = counts_at(sparsity, layers, heads)
    for kind, ranking in rankings(*scores(layers, heads), seed=1, task="rte").items():
        ticket = choose(*ranking, n_heads, n_ffns)
        assert ticket.counts == (n_heads, n_ffns), kind  # sets: a unit twice would be one too few
        assert all(0 <= layer < layers and 0 <= head < heads for layer, head in ticket.heads)
        assert max(len(ticket.heads_of(layer)) for layer in range(layers)) < heads


@pytest.mark.parametrize("layers, heads", SHAPES)
def test_winning_closes_the_lowest_and_losing_the_highest(layers, heads):
    head_scores, ffn_scores = scores(layers, heads)
    kinds = rankings(head_scores, ffn_scores, seed=1, task="rte")
    winning, losing = choose(*kinds["winning"], 2, 1), choose(*kinds["losing"], 2, 1)
    ranked = sorted((head_scores[layer, head], layer, head) for layer in range(layers) for head in range(heads))
    assert winning.heads == {(layer, head) for _, layer, head in ranked[:2]} and winning.ffns == {
        int(ffn_scores.argmin())
    }
    assert losing.heads == {(layer, head) for _, layer, head in ranked[-2:]} and losing.ffns == {
        int(ffn_scores.argmax())
    }


def test_best_head_of_every_layer_stays():
    head_scores = np.array([[0.1, 0.2, 0.3], [0.7, 0.8, 0.9]])  # the first layer is worse throughout
    assert choose(head_scores, [1, 2], 3, 0).heads == {(0, 0), (0, 1), (1, 0)}
    assert choose(head_scores, [1, 2], 2, 0, min_heads_per_layer=2).heads == {(0, 0), (1, 0)}


def test_ties_go_by_layer_and_head():
    assert choose(np.ones((3, 4)), np.ones(3), 4, 2) == Ticket(
        frozenset({(0, 0), (0, 1), (0, 2), (1, 0)}), frozenset({0, 1})
    )


def test_tickets_of_one_ranking_are_nested():
    ranking = scores(12, 12)
    tickets = [choose(*ranking, *counts_at(f"0.{tenths}", 12, 12)) for tenths in range(10)]
    for smaller, larger in zip(tickets, tickets[1:]):
        assert smaller.heads <= larger.heads and smaller.ffns <= larger.ffns


def random_ticket(seed, task, n_heads=14, n_ffns=1):
    return choose(*rankings(*scores(12, 12), seed, task)["random"], n_heads, n_ffns)


def test_random_tickets_come_from_the_seed_and_the_tasks_name():
    assert random_ticket(1, "rte") == random_ticket(1, "rte")
    assert len({random_ticket(seed, task) for seed in (1, 2) for task in ("rte", "sst", "ets")}) == 6


def test_random_tickets_are_the_same_in_every_version():
    ticket = random_ticket(2018, "rte", 4, 1)
    assert ticket == Ticket(frozenset({(0, 10), (1, 0), (1, 5), (11, 5)}), frozenset({7}))


def test_random_tickets_of_several_tasks_are_independent():
    """Independent ones close 144 x (1 - (1 - 43/144)^8) = 135 heads between them on average; one for all tasks, 43."""
    tickets = [random_ticket(2018, f"task_{number}", 43, 3) for number in range(8)]
    assert 125 <= len(frozenset.union(*(ticket.heads for ticket in tickets))) <= 144


def test_more_than_may_go_or_no_numbers_are_refused():
    for n_heads, n_ffns in ((133, 0), (0, 13)):
        with pytest.raises(ValueError, match="at most 132 and 12"):
            choose(*scores(12, 12), n_heads, n_ffns)
    with pytest.raises(ValueError, match="at most 0 and 12"):
        choose(*scores(12, 12), 1, 0, min_heads_per_layer=12)
    for heads, ffns in ((np.full((2, 2), np.nan), np.ones(2)), (np.ones((2, 2)), np.array([1, np.inf]))):
        with pytest.raises(ValueError, match="not finite"):
            choose(heads, ffns, 1, 0)


def test_remaining_weights_are_the_formula():
    ticket = choose(*scores(12, 12), 14, 1)
    expected = 1 - (2 * 3072 * 768 * 1 + 4 * 64 * 768 * 14) / 109_482_240
    assert remaining_weights(ticket.counts, BERT_BASE, biases=False) == pytest.approx(expected, abs=1e-12)
    assert (
        removed_parameters(ticket.counts, BERT_BASE, biases=True)
        - removed_parameters(ticket.counts, BERT_BASE, biases=False)
        == 3072 + 768 + 14 * 3 * 64
    )
    assert remaining_weights(DENSE.counts, BERT_BASE, biases=False) == 1


@pytest.mark.parametrize(
    "model, shape, average, published",
    [("base", BERT_BASE, (15, 1), 92.996), ("large", Shape(24, 16, 1024, 4096, 335_141_888), (85, 4), 83.339)],
)
def test_published_remaining_weights_are_those_of_the_average_counts(model, shape, average, published):
    counts = read_super_tickets([f"experiments/glue/super_tickets_{model}.yml"]).values()
    tickets = [choose(*scores(shape.layers, shape.heads), ticket.heads, ticket.ffns) for ticket in counts]
    assert average_counts(tickets) == average
    assert round(100 * remaining_weights(average, shape, biases=False), 3) == published
