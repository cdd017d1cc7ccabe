"""Super tickets are merged into one mask if every task's mask is what its place says."""

import json

import pytest
from toy import MODEL

from data_utils.errors import UserError
from mt_dnn.run_folder import RunFolder
from mt_dnn.tickets.compatibility import unknown_holdout
from mt_dnn.tickets.masks import Mask, write_mask
from mt_dnn.tickets.super_tickets import SuperTicket, merge_masks, read_super_tickets
from mt_dnn.tickets.ticket import Ticket

TICKET = Ticket(frozenset({(0, 3), (2, 1)}), frozenset({1}))
WANTED = {"rte": SuperTicket(2, 1), "sst": SuperTicket(2, 1, "loss")}


def write_own_masks(folder, **change):
    """A winning mask of rte by the default criterion, one of sst by `loss`; `change`: entries of rte's provenance."""
    for task, ticket in WANTED.items():
        path = RunFolder(folder / task).mask("winning", 2, 1, ticket.criterion)
        source = {"criterion": ticket.criterion, "seed": 7, "holdout": 0.1, **(change if task == "rte" else {})}
        write_mask(path, Mask("winning", MODEL, {task: TICKET}, source))
    return RunFolder(folder / "rte").mask("winning", 2, 1)


def test_a_merged_mask_keeps_the_provenance_of_every_task(tmp_path):
    path = write_own_masks(tmp_path)
    mask = merge_masks(tmp_path, WANTED, "winning")
    assert mask.tickets == {"rte": TICKET, "sst": TICKET} and mask.provenance["rte"]["mask"] == str(path)
    assert {task: mask.provenance_of(task)["holdout"] for task in WANTED} == {"rte": 0.1, "sst": 0.1}
    assert mask.criterion_of("rte") == "example" and mask.criterion_of("sst") == "loss"


def test_random_masks_are_merged_whatever_criterion_chose_the_sizes(tmp_path):
    for task in WANTED:
        path = RunFolder(tmp_path / task).mask("random", 2, 1)
        write_mask(path, Mask("random", MODEL, {task: TICKET}, {"seed": 7, "holdout": 0.1}))
    mask = merge_masks(tmp_path, WANTED, "random")
    assert mask.kind == "random" and mask.tickets == {"rte": TICKET, "sst": TICKET}
    assert mask.criterion_of("rte") is None and mask.criterion_of("sst") is None


def test_a_mask_that_is_not_what_its_place_says_is_refused(tmp_path):
    path = write_own_masks(tmp_path)
    content = json.loads(path.read_text())
    for change, complaint in (
        ({"kind": "losing"}, "kind: losing, expected winning"),
        ({"tickets": {"rte": {"heads": {}, "ffns": [0]}}}, r"heads and FFNs closed: \(0, 1\), expected \(2, 1\)"),
        ({"provenance": {"criterion": "loss"}}, "criterion: loss, expected example"),
        ({"tickets": {"sst": content["tickets"]["rte"]}}, "tickets for sst, expected one for 'rte'"),
        ({"model": {**MODEL, "hidden": 64}}, "expected masks of one model"),
        ({"provenance": {"holdout": 0.0}}, "made with --holdout 0.1 and 0.0"),
    ):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(UserError, match=complaint):
            merge_masks(tmp_path, WANTED, "winning")


def test_masks_that_do_not_say_what_was_held_out_are_merged_and_the_merged_one_does_not_say_it_either(tmp_path):
    path = write_own_masks(tmp_path)
    content = json.loads(path.read_text())
    del content["provenance"]["holdout"]
    path.write_text(json.dumps(content))
    mask = merge_masks(tmp_path, WANTED, "winning")
    assert unknown_holdout(mask, ["rte"]) and not unknown_holdout(mask, ["sst"])


def test_super_tickets_name_a_criterion_where_it_is_not_the_default_one(tmp_path):
    path = tmp_path / "super_tickets.yml"
    path.write_text("rte: {heads: 2, ffns: 1}\nsst: {heads: 2, ffns: 1, criterion: loss}\nwnli: null\n")
    assert read_super_tickets([path]) == {**WANTED, "wnli": None}
    for wrong in ("{heads: -2, ffns: 1}", "{heads: 2}", "{heads: 2, ffns: 1, criterion: 3}", "28"):
        path.write_text(f"rte: {wrong}\n")
        with pytest.raises(UserError, match=f"{path}: rte: .*expected {{heads: ..., ffns: ...}}"):
            read_super_tickets([path])
