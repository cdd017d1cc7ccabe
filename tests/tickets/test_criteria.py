"""Importance criteria in float64: gradients against central finite differences, the others against pruned models."""

import copy
import re

import numpy as np
import pytest
import torch
from in_memory import HEADS, LAYERS, make_model, make_rows, make_task

from data_utils.errors import UserError
from mt_dnn.encoders.families import FAMILIES
from mt_dnn.loss import loss_per_row
from mt_dnn.run_folder import DEFAULT_CRITERION
from mt_dnn.tickets.criteria import CRITERIA, Criterion, TaskRows, criterion_named, score
from mt_dnn.tickets.gates import gated, ticket_gates
from mt_dnn.tickets.masks import KINDS
from mt_dnn.tickets.prune import prune
from mt_dnn.tickets.ticket import DENSE, Ticket

STEP = 1e-4


def loss_with_gate(model, task, batch, unit, value):
    heads, ffns = (gates.double() for gates in ticket_gates(DENSE, LAYERS, HEADS))
    if isinstance(unit, tuple):
        heads[unit[0], 0, 0, unit[1]] = value
    else:
        ffns[unit] = value
    with torch.no_grad(), gated(model.encoder, heads, ffns):
        return float(loss_per_row(model, task, batch))


def finite_difference(model, task, batch, unit):
    """Central differences at two steps, extrapolated: the error is of the fourth order."""

    def slope(step):
        return (
            loss_with_gate(model, task, batch, unit, 1 + step) - loss_with_gate(model, task, batch, unit, 1 - step)
        ) / (2 * step)

    return (4 * slope(STEP) - slope(2 * STEP)) / 3


CASES = [("bert", kind, pairs) for kind in ("classification", "regression") for pairs in (False, True)]
CASES += [(family, "classification", True) for family in FAMILIES if family != "bert"]


@pytest.mark.parametrize(
    "family, kind, pairs, attention",
    [*((*case, "sdpa") for case in CASES), ("bert", "classification", True, "eager")],
)
def test_importance_is_the_mean_absolute_slope_of_each_rows_loss(family, kind, pairs, attention):
    task, split = make_task(kind), make_rows(pairs, kind)
    model = make_model(task, attention, family)
    heads, ffns = score(model, TaskRows(task, split, batch_size=4), "example")
    alone = [split.batch(np.array([row])) for row in range(len(split))]
    for layer in range(LAYERS):
        expected = np.mean([abs(finite_difference(model, task, batch, layer)) for batch in alone])
        assert expected > 1e-6 and ffns[layer] == pytest.approx(expected, rel=1e-6)
        for head in range(HEADS):
            expected = np.mean([abs(finite_difference(model, task, batch, (layer, head))) for batch in alone])
            assert heads[layer, head] == pytest.approx(expected, rel=1e-6)


def test_importance_per_token_sums_absolute_slopes_over_positions():
    task, split = make_task(), make_rows(True, "classification", n=3)
    model = make_model(task)
    heads, ffns = score(model, TaskRows(task, split, batch_size=3), "token")
    heads_open, ffns_open = (gates.double() for gates in ticket_gates(DENSE, LAYERS, HEADS))

    def slope(batch, of, gate):
        """The absolute slope of a row's loss by one gate, `of` heads (0) or FFNs (1)."""
        losses, length = [], batch["input_ids"].shape[1]
        for value in (1 + STEP, 1 - STEP):
            gates = heads_open.repeat(1, 1, length, 1), ffns_open.repeat(1, 1, length)
            gates[of][gate] = value
            with torch.no_grad(), gated(model.encoder, *gates):
                losses.append(float(loss_per_row(model, task, batch)))
        return abs(losses[0] - losses[1]) / (2 * STEP)

    rows = [split.batch(np.array([row])) for row in range(3)]
    places = [(batch, position) for batch in rows for position in range(batch["input_ids"].shape[1])]
    of_head = sum(slope(batch, 0, (1, 0, position, 2)) for batch, position in places)
    of_ffn = sum(slope(batch, 1, (1, 0, position)) for batch, position in places)
    assert heads[1, 2] == pytest.approx(of_head / 3, rel=1e-5) and ffns[1] == pytest.approx(of_ffn / 3, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scores_do_not_depend_on_batches_padding_or_order(criterion):
    task, split = make_task(), make_rows(True, "classification", n=9)
    model, padded = make_model(task), copy.copy(split)
    padded.batch = lambda rows: split.batch(rows, split.lengths[rows].max() + 5)
    reference = score(model, TaskRows(task, split, batch_size=1), criterion)
    for rows in (
        TaskRows(task, split, batch_size=4),
        TaskRows(task, split.part(np.arange(9)[::-1]), batch_size=9),
        TaskRows(task, split, batch_size=9, tokens=20),
        TaskRows(task, padded, batch_size=4),
    ):
        heads, ffns = score(model, rows, criterion)
        np.testing.assert_allclose(heads, reference[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ffns, reference[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("criterion, of_change", [("loss", torch.positive), ("example_loss", torch.abs)])
@pytest.mark.parametrize("family, kind", [*((family, "classification") for family in FAMILIES), ("bert", "regression")])
def test_criteria_by_the_loss_are_means_of_each_rows_change_when_the_unit_is_pruned(family, kind, criterion, of_change):
    task, split = make_task(kind), make_rows(True, kind)
    model = make_model(task, family=family)
    batch = split.batch(np.arange(len(split)))
    heads, ffns = score(model, TaskRows(task, split, batch_size=4), criterion)

    def change(ticket):
        pruned = copy.deepcopy(model)
        prune(pruned.encoder, ticket)
        with torch.no_grad():
            changes = loss_per_row(pruned, task, batch) - loss_per_row(model, task, batch)
        return float(of_change(changes).mean())

    for layer in range(LAYERS):
        assert ffns[layer] == pytest.approx(change(Ticket(ffns=frozenset({layer}))), rel=1e-8, abs=1e-11)
        for head in range(HEADS):
            expected = change(Ticket(heads=frozenset({(layer, head)})))
            assert heads[layer, head] == pytest.approx(expected, rel=1e-8, abs=1e-11)
    assert (min(heads.min(), ffns.min()) < 0) == CRITERIA[criterion].signed and max(heads.max(), ffns.max()) > 0


def test_the_papers_criterion_approximates_how_much_each_rows_loss_changes():
    """Near xi = 1 the change is the slope times the step: checked by weights that make every unit's output tiny."""
    task, split = make_task(), make_rows(True, "classification", n=9)
    model, rows = make_model(task), TaskRows(task, split, batch_size=9)
    with torch.no_grad():
        for name, weight in model.encoder.named_parameters():
            if name.endswith(("attention.output.dense.weight", "output.dense.weight", "output.dense.bias")):
                weight.mul_(1e-4)
    approximate, exact = score(model, rows, "example"), score(model, rows, "example_loss")
    for found, expected in zip(approximate, exact):
        assert expected.min() > 0
        np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_magnitude_criterion_is_the_root_mean_square_of_what_pruning_removes(family):
    task, split = make_task(), make_rows(True, "classification")
    model = make_model(task, family=family)
    heads, ffns = score(model, TaskRows(task, split, batch_size=4), "magnitude")

    def total(encoder):
        """(sum of the squares of all parameters, how many there are)"""
        return np.array([[float(p.detach().square().sum()), p.numel()] for p in encoder.parameters()]).sum(0)

    def size(ticket):
        pruned = copy.deepcopy(model.encoder)
        prune(pruned, ticket)
        squares, number = total(model.encoder) - total(pruned)
        return (squares / number) ** 0.5

    for layer in range(LAYERS):
        assert ffns[layer] == pytest.approx(size(Ticket(ffns=frozenset({layer}))), rel=1e-8)
        for head in range(HEADS):
            assert heads[layer, head] == pytest.approx(size(Ticket(heads=frozenset({(layer, head)}))), rel=1e-8)


def test_a_sample_of_rows_is_always_the_same_and_no_larger_than_asked_for():
    split = make_rows(True, "classification", n=40)
    rows = TaskRows(make_task(), split, batch_size=4)
    assert rows.sample(None) is rows and rows.sample(40) is rows and len(rows.sample(0).split) == 0
    sample = rows.sample(10).split
    places = [[*split.rows()].index(row) for row in sample.rows()]
    assert places == [1, 2, 3, 4, 11, 18, 23, 24, 27, 34]  # in every version


def test_names_of_criteria_make_files_and_folders_of_their_own():
    assert DEFAULT_CRITERION in CRITERIA and not set(CRITERIA) & set(KINDS)
    assert all(re.fullmatch("[a-z][a-z_]*", name) and not name.startswith("tickets_of") for name in CRITERIA)
    with pytest.raises(UserError, match="--criterion lucky: no such criterion, expected one of example, token"):
        criterion_named("lucky")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_scoring_leaves_the_model_as_it_was(criterion):
    task, split = make_task(), make_rows(False, "classification")
    model, rows = make_model(task).train(), TaskRows(task, split, batch_size=4)
    model.encoder.embeddings.requires_grad_(False)
    before = {name: (value.clone(), value.requires_grad) for name, value in model.named_parameters()}
    heads, ffns = score(model, rows, criterion)
    assert model.training
    without_dropout = score(make_model(task), rows, criterion)
    np.testing.assert_array_equal(heads, without_dropout[0])
    np.testing.assert_array_equal(ffns, without_dropout[1])
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name][0]) and value.requires_grad == before[name][1] and value.grad is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.encoder.encoder.modules())


def test_a_criterion_gets_as_many_rows_as_it_looks_at(monkeypatch):
    def counting(model, data):
        return np.full((LAYERS, HEADS), len(data.split)), np.full(LAYERS, len(data.split))

    task, split = make_task(), make_rows(False, "classification", n=9)
    for sample_rows, rows in ((3, 3), (None, 9), (20, 9)):
        monkeypatch.setitem(CRITERIA, "mine", Criterion(counting, sample_rows))
        heads, _ = score(make_model(task), TaskRows(task, split, batch_size=4), "mine")
        assert heads[0, 0] == rows


def test_a_criterion_that_leaves_units_out_is_an_error_and_the_model_is_as_before(monkeypatch):
    def first_layer_alone(model, data):
        return np.ones((1, HEADS)), np.ones(1)

    monkeypatch.setitem(CRITERIA, "mine", Criterion(first_layer_alone))
    task, split = make_task("classification"), make_rows(False, "classification")
    model = make_model(task).train()
    with pytest.raises(ValueError, match="criterion mine: scores of the shapes"):
        score(model, TaskRows(task, split, batch_size=4), "mine")
    assert model.training and all(parameter.requires_grad for parameter in model.parameters())
