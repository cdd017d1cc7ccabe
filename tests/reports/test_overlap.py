"""What winning tickets are: their overlap between tasks and seeds, and what survives in each layer."""

import itertools

import numpy as np
import pytest
from fake_runs import transitions_of, write_run

from mt_dnn.reports.overlap import chance, jaccard, overlaps, survivors, winning_tickets
from mt_dnn.tickets.ticket import Ticket


@pytest.mark.parametrize("units, one, other", [(6, 2, 3), (5, 1, 4), (7, 3, 3), (4, 4, 2), (5, 0, 2)])
def test_chance_is_the_mean_over_all_pairs_of_sets(units, one, other):
    pairs = itertools.product(itertools.combinations(range(units), one), itertools.combinations(range(units), other))
    assert chance(units, one, other) == pytest.approx(np.mean([jaccard(set(a), set(b)) for a, b in pairs]))


def test_tickets_are_compared_between_tasks_and_seeds(tmp_path, monkeypatch):
    one, near, far = (
        Ticket(frozenset({(0, 0), (1, head)}), frozenset({ffn})) for head, ffn in ((1, 0), (2, 0), (3, 2))
    )
    for task, seed, ticket in (("rte", 1, one), ("rte", 2, near), ("rte", 3, one), ("mrpc", 1, far)):
        monkeypatch.setattr("fake_runs.ticket_of", lambda *_, ticket=ticket: ticket)
        write_run(tmp_path, "winning", (2, 1), seed, 0.7, task=task)
    (tickets,) = winning_tickets(transitions_of(tmp_path))
    assert tickets.sizes == [(2, 1)] and tickets.tasks == ["mrpc", "rte"]
    assert list(tickets.by_run) == [("mrpc", 1), ("rte", 1), ("rte", 2)]  # seed 3 rewound the tickets of seed 1
    heads, ffns = overlaps(tickets, "heads"), overlaps(tickets, "ffns")
    assert heads["mrpc and rte"] == {(2, 1): pytest.approx(1 / 3)} and heads["rte, between seeds"] == {
        (2, 1): pytest.approx(1 / 3)
    }
    assert ffns["mrpc and rte"] == {(2, 1): 0} and ffns["rte, between seeds"] == {(2, 1): 1}
    assert heads["chance"] == {(2, 1): pytest.approx(chance(12, 2, 2))} and ffns["chance"] == {
        (2, 1): pytest.approx(1 / 3)
    }
    sizes, open_heads, open_ffns = survivors(tickets, "rte")
    assert sizes == [(2, 1)] and open_heads.tolist() == [[3], [3], [4]] and open_ffns.tolist() == [[0], [1], [1]]


def test_a_seed_with_the_tickets_of_another_adds_the_sizes_that_only_it_has(tmp_path):
    for seed, size in ((1, (2, 0)), (1, (1, 0)), (2, (2, 0)), (2, (4, 0))):
        write_run(tmp_path, "winning", size, seed, 0.7)
    (tickets,) = winning_tickets(transitions_of(tmp_path))
    assert list(tickets.by_run) == [("rte", 1)] and tickets.sizes == [(1, 0), (2, 0), (4, 0)]
