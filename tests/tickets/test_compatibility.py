"""A mask that was made for another encoder, or by rows that are to be held out, is refused."""

from pathlib import Path

import pytest
from toy import MODEL

from data_utils.errors import UserError
from mt_dnn.tickets.compatibility import refuse_other_model, refuse_unfit, ticket_warnings, unknown_holdout
from mt_dnn.tickets.masks import Mask
from mt_dnn.tickets.ticket import DENSE, Ticket

PATH = Path("m.json")


def mask(kind="winning", task="rte", **provenance):
    ticket = DENSE if kind == "dense" else Ticket(frozenset({(0, 3)}))
    return Mask(kind, MODEL, {task: ticket}, provenance)


def unfit(mask, owner="rte", weights="0123", holdout=0.1):
    refuse_unfit({PATH: mask}, {"rte": owner}, weights, holdout, {"rte": "89ab"})


def test_a_mask_of_another_model_is_refused():
    refuse_other_model(mask(), PATH, MODEL)
    for key in MODEL:
        value = "bert-base-uncased" if key == "name" else 12
        with pytest.raises(UserError, match=f"m.json: made for another model: {key}"):
            refuse_other_model(mask(), PATH, {**MODEL, key: value})


def test_tickets_that_other_weights_chose_are_refused_where_both_are_known():
    with pytest.raises(UserError, match="m.json: tickets.rte: chosen in tiny with weights of the SHA-256 4567"):
        unfit(mask(holdout=0.1, encoder_weights="4567"))
    unfit(mask(holdout=0.1, encoder_weights="0123"))
    unfit(mask(holdout=0.1, encoder_weights="4567"), weights=None)
    unfit(mask("random", encoder_weights="4567"))
    with pytest.raises(UserError, match="tickets.mnli: chosen in tiny"):
        unfit(mask(task="mnli", holdout=0.1, encoder_weights="4567"), owner="mnli")


def test_tickets_that_saw_rows_to_be_held_out_are_refused_unless_they_are_another_tasks():
    with pytest.raises(UserError, match="m.json: tickets.rte: made with --holdout 0.0, so rows that --holdout 0.1"):
        unfit(mask(holdout=0.0))
    for other in (mask("random", holdout=0.0), mask("dense", holdout=0.0)):
        unfit(other)
    unfit(mask(holdout=0.0), holdout=0.0)
    unfit(mask(task="mnli", holdout=0.0), owner="mnli")


def test_tickets_that_other_training_rows_chose_are_refused_where_rows_are_held_out():
    with pytest.raises(UserError, match="m.json: tickets.rte: chosen by other training rows, so rows that --holdout"):
        unfit(mask(holdout=0.1, training_rows="0000"))
    unfit(mask(holdout=0.1, training_rows="89ab"))
    unfit(mask(holdout=0.0, training_rows="0000"), holdout=0.0)
    for other in (mask("random", training_rows="0000"), mask("dense", training_rows="0000")):
        unfit(other)
    unfit(mask(task="mnli", holdout=0.1, training_rows="0000"), owner="mnli")


def test_tickets_that_more_rows_chose_than_train_are_named():
    def named(mask, owner="rte"):
        return list(ticket_warnings({PATH: mask}, {"rte": owner}, 0.0, {"rte": 0.1}))

    assert named(mask(train_fraction=1.0)) == [
        f"{PATH}: tickets.rte: its scores were made with 100 % of the training rows; it now trains on 10 %"
    ]
    for other in (mask(), mask(train_fraction=0.1), mask("random", train_fraction=1.0)):
        assert not named(other)
    assert not named(mask(task="mnli", train_fraction=1.0), owner="mnli")


def test_only_a_mask_that_scores_chose_has_to_say_what_was_held_out():
    unfit(mask())  # passes, and rewind.py says so
    assert unknown_holdout(mask(), ["rte"])
    for other in (mask(holdout=0.0), mask("random"), mask("dense")):
        assert not unknown_holdout(other, ["rte"])
    assert not unknown_holdout(mask(), [])
