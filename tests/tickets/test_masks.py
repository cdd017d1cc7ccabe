import dataclasses
import json
import os
from pathlib import Path

import pytest

from data_utils.errors import UserError
from mt_dnn.tickets.find_masks import find_masks
from mt_dnn.tickets.masks import Mask, read_mask, tickets_for, write_mask
from mt_dnn.tickets.ticket import DENSE, Ticket

MODEL = {"name": "tiny-bert", "layers": 3, "heads": 4, "hidden": 32, "intermediate": 48, "parameters": 20000}
TICKET = Ticket(frozenset({(0, 3), (2, 1), (2, 0)}), frozenset({1}))


def test_mask_survives_write_and_read(tmp_path):
    mask = Mask("random", MODEL, {"rte": TICKET, "sst": DENSE}, {"seed": 2018})
    write_mask(tmp_path / "mask.json", mask)
    assert read_mask(tmp_path / "mask.json") == mask


def test_a_mask_that_is_there_stays_as_another_process_may_read_it_and_another_one_is_replaced(tmp_path):
    path, mask = tmp_path / "mask.json", Mask("winning", MODEL, {"rte": TICKET}, {"seed": 1})
    write_mask(path, mask)
    with open(path) as reader:
        write_mask(path, mask)
        assert os.path.samestat(os.fstat(reader.fileno()), path.stat())
        other = dataclasses.replace(mask, kind="random")
        write_mask(path, other)
        assert not os.path.samestat(os.fstat(reader.fileno()), path.stat()) and read_mask(path) == other
    path.write_bytes(b"\xff")
    write_mask(path, mask)
    assert read_mask(path) == mask


def test_mask_is_written_for_people(tmp_path):
    write_mask(tmp_path / "mask.json", Mask("winning", MODEL, {"rte": TICKET}, {}))
    assert '"2": [0, 1]' in (tmp_path / "mask.json").read_text()


def content(**ticket):
    return {
        "kind": "winning",
        "model": MODEL,
        "tickets": {"rte": {"heads": {"0": [1]}, "ffns": [2], **ticket}},
        "provenance": {},
    }


def with_provenance(**provenance):
    return {**content(), "provenance": provenance}


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (content(heads={"0": [1, 1]}), r"tickets.rte.heads.0\[1\]: 1 a second time, expected every value once"),
        (content(heads={"0": [4]}), r"tickets.rte.heads.0\[0\]: 4, expected a head from 0 to 3"),
        (content(heads={"0": [-1]}), r"tickets.rte.heads.0\[0\]: -1, expected a head from 0 to 3"),
        (content(heads={"0": [True]}), r"tickets.rte.heads.0\[0\]: True, expected a head from 0 to 3"),
        (content(heads={"3": [1]}), "tickets.rte.heads: '3', expected a layer from 0 to 2"),
        (content(heads={"00": [1]}), "tickets.rte.heads: '00', expected a layer"),
        (content(heads={"x": [1]}), "tickets.rte.heads: 'x', expected a layer"),
        (content(heads={"0": [0, 1, 2, 3]}), ".*at least one head of the layer left open"),
        (content(heads={"0": 1}), "tickets.rte.heads.0: 1, expected a list of heads"),
        (content(ffns=[0, 0]), r"tickets.rte.ffns\[1\]: 0 a second time, expected every value once"),
        (content(ffns=[3]), r"tickets.rte.ffns\[0\]: 3, expected a layer from 0 to 2"),
        (content(more=1), "tickets.rte.more: unknown key, expected some of: heads, ffns"),
        ({**content(), "tickets": {}}, "tickets: {}, expected a ticket by task name"),
        ({**content(), "kind": "dense"}, "kind: 'dense', expected another one, as tickets.rte closes heads or FFNs"),
        ({**content(), "kind": "lucky"}, "kind: 'lucky', expected one of dense, winning, random, losing"),
        ({**content(), "model": {**MODEL, "layers": 0}}, "model.layers: 0, expected a whole number from 1"),
        ({**content(), "model": {"name": "x", "layers": 3, "heads": 4}}, "model.hidden: missing"),
        ({"kind": "winning"}, "model: missing, expected keys name, layers, heads, hidden, intermediate, parameters"),
        (with_provenance(seed="2018"), "provenance.seed: '2018', expected a whole number from 0"),
        (with_provenance(holdout=[0.1]), r"provenance.holdout: \[0.1\], expected a number from 0 to 1"),
        (with_provenance(criterion=1), "provenance.criterion: 1, expected a name of lower-case letters"),
        (with_provenance(min_heads_per_layer="1"), "provenance.min_heads_per_layer: '1', expected a whole number"),
        ({**content(), "provenance": []}, r"provenance: \[\], expected where the ticket comes from, by key"),
        (with_provenance(rte={"holdout": "0.1"}), "provenance.rte.holdout: '0.1', expected a number from 0 to 1"),
        (with_provenance(sst={"holdout": 0.1}), "provenance.sst: unknown key, expected some of: rte"),
    ],
)
def test_bad_masks_are_refused_with_file_and_key(tmp_path, wrong, complaint):
    path = tmp_path / "mask.json"
    path.write_text(json.dumps(wrong))
    with pytest.raises(UserError, match=f"{path}: {complaint}"):
        read_mask(path)


@pytest.mark.parametrize(
    "text", ['"tickets": {"rte": {"heads": {"0": [1], "0": [2]}, "ffns": []}}', '"tickets": {"rte": {}, "rte": {}}']
)
def test_a_layer_or_task_that_stands_there_twice_is_refused(tmp_path, text):
    path = tmp_path / "mask.json"
    path.write_text(f'{{"kind": "winning", "model": {json.dumps(MODEL)}, {text}}}')
    with pytest.raises(UserError, match=f"{path}: .*twice|{path}: .*second time"):
        read_mask(path)


def test_a_mask_says_which_criterion_chose_each_ticket():
    def mask(kind="winning", **provenance):
        return Mask(kind, MODEL, {"rte": TICKET, "sst": DENSE}, provenance)

    assert mask().criterion_of("rte") == "example"  # as a mask made by hand
    assert mask(criterion="loss").criterion_of("rte") == "loss" and mask(criterion="loss").criterion_of("sst") is None
    assert mask("random", criterion="loss").criterion_of("rte") is None
    assert mask(rte={"criterion": "token"}, sst={}).criterion_of("rte") == "token"
    assert mask(criterion="example").folder(["rte", "sst"]) == Path("winning")
    assert mask(criterion="loss").folder(["rte"]) == Path("loss/winning") and mask("random").folder(["rte"]) == Path(
        "random"
    )
    both = Mask(
        "losing", MODEL, {"a": TICKET, "b": TICKET}, {"a": {"criterion": "loss"}, "b": {"criterion": "example"}}
    )
    assert both.folder(["a", "b"]) == Path("example+loss/losing") and both.folder(["b"]) == Path("losing")


def test_half_a_file_is_refused_with_its_line(tmp_path):
    path = tmp_path / "mask.json"
    path.write_text('{\n  "kind": "win')
    with pytest.raises(UserError, match=f"{path}:2: not JSON"):
        read_mask(path)


def test_mask_of_another_task_is_refused():
    mask = Mask("winning", MODEL, {"rte": TICKET}, {})
    assert tickets_for(mask, "m.json", ["rte"]) == {"rte": TICKET}
    with pytest.raises(UserError, match="m.json: tickets for rte, expected one for 'mrpc'"):
        tickets_for(mask, "m.json", ["rte", "mrpc"])


def test_masks_are_found_in_folders_files_and_patterns(tmp_path):
    for name in ("winning/a.json", "winning/b.json", "losing/a.json"):
        write_mask(tmp_path / name, Mask("winning", MODEL, {"rte": TICKET}, {}))
    winning = [tmp_path / "winning" / name for name in ("a.json", "b.json")]
    assert find_masks([tmp_path / "winning", str(tmp_path / "w*" / "a.json")]) == winning
    assert len(find_masks([tmp_path])) == 3
    with pytest.raises(UserError, match="no mask found"):
        find_masks([tmp_path / "random"])
    masks = tmp_path / "masks"
    masks.mkdir()
    (masks / "winning").symlink_to(tmp_path / "winning")  # on another disk, say
    assert find_masks([masks]) == [masks / "winning/a.json", masks / "winning/b.json"]
