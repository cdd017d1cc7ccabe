"""construct_mtl_mask.py: the super tickets of several tasks merged into one mask."""

import os
import re
import shutil

import pytest

from mt_dnn.tickets.masks import Mask, read_mask, write_mask
from mt_dnn.tickets.ticket import DENSE, Ticket

SHAPES = {
    "base": {
        "name": "bert-base-uncased",
        "layers": 12,
        "heads": 12,
        "hidden": 768,
        "intermediate": 3072,
        "parameters": 109_482_240,
    },
    "large": {
        "name": "bert-large-uncased",
        "layers": 24,
        "heads": 16,
        "hidden": 1024,
        "intermediate": 4096,
        "parameters": 335_141_888,
    },
}


def write_published_masks(folder, model):
    """Masks of BERT's shape at the published counts, as train.py writes them."""
    for line in open(f"experiments/glue/super_tickets_{model}.yml"):
        if found := re.match(r"(\w+): {heads: (\d+), ffns: (\d+)}", line):
            task, n_heads, n_ffns = found[1], int(found[2]), int(found[3])
            shape = SHAPES[model]
            heads = [(i % shape["layers"], i // shape["layers"]) for i in range(n_heads)]
            write_mask(
                folder / task / "masks" / ("winning" if n_heads else "dense") / f"heads_{n_heads}_ffns_{n_ffns}.json",
                Mask(
                    "winning" if n_heads else "dense",
                    shape,
                    {task: Ticket(frozenset(heads), frozenset(range(n_ffns)))},
                    {"scores": f"of {task}"},
                ),
            )


@pytest.mark.parametrize(
    "model, mnli, mrpc, average, published",
    [("base", 100.0, 79.3, 92.3, (15, 1, 92.996)), ("large", 92.0, 76.0, 82.0, (85, 4, 83.339))],
)
def test_published_super_tickets_are_merged(tmp_path, cli, model, mnli, mrpc, average, published):
    write_published_masks(tmp_path, model)
    ended = cli("construct_mtl_mask.py", "--model", model, "--checkpoints", tmp_path)
    assert ended.status == 0, ended.err
    table = {line.split()[0]: line.split() for line in ended.out.splitlines() if line.endswith(" %")}
    assert (float(table["mnli"][-2]), float(table["mrpc"][-2]), float(table["average"][-2])) == (mnli, mrpc, average)
    assert tuple(map(float, table["paper's"][1:-1])) == published
    mask = read_mask(tmp_path / "mtdnn/masks/winning/super_tickets.json")
    assert mask.kind == "winning" and mask.model == SHAPES[model] and len(mask.tickets) == 8
    assert mask.tickets["mrpc"].counts == ((43, 3) if model == "base" else (115, 6))
    assert mask.provenance["mrpc"]["scores"] == "of mrpc" and "mrpc/masks/winning" in mask.provenance["mrpc"]["mask"]


def test_tickets_by_another_criterion_are_merged_or_it_says_how_to_make_them(tmp_path, cli, refused):
    write_published_masks(tmp_path, "base")
    own, by_example = tmp_path / "own.yml", tmp_path / "rte/masks/winning/heads_14_ffns_1.json"
    own.write_text("rte: {heads: 14, ffns: 1}\n")
    command = "construct_mtl_mask.py", "--checkpoints", tmp_path, "--super_tickets", own, "--criterion", "token"
    line = refused(*command)
    assert "rte/masks/token/winning/heads_14_ffns_1.json: no such mask" in line
    assert "--criterion token (CRITERION=token in the scripts)" in line
    other = Ticket(frozenset((0, head) for head in range(11)) | {(1, 0), (1, 1), (1, 2)}, frozenset({11}))
    by_token = Mask("winning", read_mask(by_example).model, {"rte": other}, {"criterion": "token"})
    write_mask(tmp_path / "rte/masks/token/winning/heads_14_ffns_1.json", by_token)
    assert cli(*command).status == 0
    assert read_mask(tmp_path / "mtdnn/masks/token/winning/super_tickets.json").tickets == {"rte": other}
    assert "--criterion toke: no such criterion, expected one of example, token" in refused(*command[:-1], "toke")


def test_random_tickets_and_the_dense_one_are_the_same_by_any_criterion(tmp_path, cli):
    own, model = tmp_path / "own.yml", SHAPES["base"]
    own.write_text("rte: {heads: 1, ffns: 0}\nmnli: {heads: 0, ffns: 0}\n")
    tickets = {"rte": Ticket(frozenset({(3, 4)}), frozenset()), "mnli": DENSE}
    write_mask(tmp_path / "rte/masks/random/heads_1_ffns_0.json", Mask("random", model, {"rte": tickets["rte"]}, {}))
    write_mask(tmp_path / "mnli/masks/dense/heads_0_ffns_0.json", Mask("dense", model, {"mnli": DENSE}, {}))
    for more in ((), ("--criterion", "token")):
        command = "construct_mtl_mask.py", "--checkpoints", tmp_path, "--super_tickets", own, "--kind", "random", *more
        assert cli(*command).status == 0
        assert read_mask(tmp_path / "mtdnn/masks/random/super_tickets.json").tickets == tickets


def test_a_merged_mask_replaces_masks_alone_and_may_go_to_a_device(tmp_path, cli, refused):
    write_published_masks(tmp_path, "base")
    own = tmp_path / "own.yml"
    own.write_text("rte: {heads: 14, ffns: 1}\n")
    merge = ("construct_mtl_mask.py", "--checkpoints", tmp_path, "--super_tickets", own, "--output")
    told = refused(*merge, own)
    assert f"{own}:1: not JSON" in told and "only masks are replaced: take another --output" in told
    assert own.read_text() == "rte: {heads: 14, ffns: 1}\n"
    for _ in range(2):
        assert cli(*merge, tmp_path / "merged.json").status == 0
    assert read_mask(tmp_path / "merged.json").tickets.keys() == {"rte"}
    if os.path.exists("/dev/full"):
        assert "No space left" in refused(*merge, "/dev/full")  # reading from it would never end


def test_masks_that_can_not_be_merged_are_one_line(tmp_path, refused):
    def merge(*more):
        return refused("construct_mtl_mask.py", "--checkpoints", tmp_path, *more)

    write_published_masks(tmp_path, "base")
    own = tmp_path / "own.yml"
    own.write_text("rte: {heads: 14, ffns: 1}\nwnli: {heads: 3, ffns: 0}\n")
    assert "wnli/masks/winning/heads_3_ffns_0.json: no such mask" in merge("--super_tickets", own)
    own.write_text("rte: {heads: 14, ffns: 1}\nsst: 28\n")
    assert f"{own}: sst: 28, expected {{heads: ..., ffns: ...}}" in merge("--super_tickets", own)
    own.write_text("rte: {heads: 14, ffns: 1}\n")
    assert "rte stands in an earlier file too" in merge("--super_tickets", own, own)
    assert "no such file" in merge("--super_tickets", tmp_path / "none.yml")
    shutil.copy(
        tmp_path / "sst/masks/winning/heads_28_ffns_2.json", tmp_path / "rte/masks/winning/heads_14_ffns_1.json"
    )
    assert "tickets for sst, expected one for 'rte'" in merge()
    write_mask(
        tmp_path / "rte/masks/winning/heads_14_ffns_1.json",
        Mask("winning", SHAPES["large"], {"rte": Ticket(frozenset((i, 0) for i in range(14)), frozenset({0}))}, {}),
    )
    line = merge()
    assert (
        "rte/masks/winning/heads_14_ffns_1.json and " in line
        and "name bert-large-uncased and bert-base-uncased; layers 24 and 12" in line
        and "expected masks of one model" in line
    )
    assert not (tmp_path / "mtdnn").exists()
