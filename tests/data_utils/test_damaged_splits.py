"""A split that is damaged, edited or of something else is refused, and prepro.py writes it again."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from calls import tokenize

from data_utils.errors import UserError
from data_utils.task_kinds import TASK_KINDS
from data_utils.tasks import read_tasks
from data_utils.tokenized import read_split


@pytest.fixture
def damaged(workshop, tmp_path):
    """A copy of the dev split of RTE to damage: (its folder, a function that opens it)."""
    folder = tmp_path / "rte_dev"
    shutil.copytree(workshop.data / "rte_dev", folder)
    return folder, lambda split="dev": read_split(tmp_path, workshop.tasks["rte"], split)


def refused_and_written_again(damaged, workshop, cli, complaint, folder=None):
    folder, read = folder or damaged[0], damaged[1]
    with pytest.raises(UserError, match=f"^{complaint}"):
        read(folder.name.removeprefix("rte_"))
    ended = cli(*tokenize(workshop, folder.parent, "rte"))
    assert ended.status == 0 and f"{folder}: " in ended.out
    (line,) = [line for line in ended.out.splitlines() if line.startswith(f"{folder}: ")]
    assert line.endswith("; written")
    assert read(folder.name.removeprefix("rte_")).header["task"] == "rte"
    assert cli(*tokenize(workshop, folder.parent, "rte")).out.count("up to date") == 2


def flip(path, place, bit):
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name, damage, complaint",
    [
        ("tokens", lambda path: flip(path, 7, 3), "its content has another fingerprint"),
        ("types", lambda path: flip(path, -1, 0), "its content has another fingerprint"),
        ("ends", lambda path: flip(path, 100, 1), "its content has another fingerprint"),
        (
            "tokens",
            lambda path: path.write_bytes((half := path.read_bytes()[: path.stat().st_size // 2]) + bytes(len(half))),
            "its content has another fingerprint",
        ),
        ("labels", lambda path: path.write_bytes(bytes(path.stat().st_size)), "its content has another fingerprint"),
        (
            "labels",
            lambda path: path.write_bytes(path.read_bytes()[:-8] + np.int64(-100).tobytes()),
            "its content has another fingerprint",
        ),
        (
            "tokens",
            lambda path: path.write_bytes(path.read_bytes()[:-2]),
            "[0-9]+ bytes, expected [0-9]+; the split is",
        ),
        ("labels", Path.unlink, "0 bytes, expected 480; the split is damaged, run prepro.py again"),
    ],
)
def test_a_damaged_array_is_refused_and_prepro_writes_it_again(damaged, workshop, cli, name, damage, complaint):
    damage(damaged[0] / f"{name}.bin")
    refused_and_written_again(damaged, workshop, cli, f"{damaged[0]}/{name}.bin: {complaint}")


@pytest.mark.parametrize(
    "change",
    [
        {"pad_id": 3},
        {"longest_row": 5},
        {"rows": 59},
        {"tokens": 2},
        {"made_from": {}},
        {"labels": ["entailment", "not_entailment"]},
        {"rows_dropped": {"bad": 1}},
    ],
)
def test_an_edited_header_is_refused_and_prepro_writes_it_again(damaged, workshop, cli, change):
    header = damaged[0] / "header.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), **change}))
    refused_and_written_again(
        damaged, workshop, cli, f"{header}: fingerprint: .*changed by hand or is damaged, run prep"
    )


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"rows": None}, "rows: None, expected a whole number from 1; run prepro.py again"),
        ({"pad_id": None}, "pad_id: None, expected a whole number from 0; run prepro.py again"),
        (
            {"arrays": ["tokens"]},
            r"arrays: \['tokens'\], expected keys tokens, types, ends, labels; run prepro.py again",
        ),
        ({"arrays": {"tokens": "uint16"}}, "arrays.tokens: 'uint16', expected keys type, sha256; run prepro.py again"),
        ({"made_from": 3}, "made_from: 3, expected what the split was made from; run prepro.py again"),
        ({"fingerprint": 3}, "fingerprint: 3, expected text; run prepro.py again"),
    ],
)
def test_a_header_of_wrong_types_is_refused_with_its_key(damaged, workshop, cli, change, complaint):
    header = damaged[0] / "header.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), **change}))
    refused_and_written_again(damaged, workshop, cli, f"{header}: {complaint}")


def test_a_split_of_a_version_without_fingerprints_is_written_again(damaged, workshop, cli):
    path = damaged[0] / "header.json"
    header = json.loads(path.read_text())
    header.pop("fingerprint")
    header["arrays"] = {name: array["type"] for name, array in header["arrays"].items()}
    path.write_text(json.dumps(header))
    refused_and_written_again(
        damaged, workshop, cli, f"{path}: fingerprint: missing, expected text; run prepro.py again"
    )


def test_another_split_in_the_place_of_one_is_refused_and_written_again(damaged, workshop, cli):
    folder = damaged[0].with_name("rte_train")
    damaged[0].rename(folder)
    complaint = f"{folder}/header.json: split: 'dev', expected 'train', as the task says; undo "
    refused_and_written_again(damaged, workshop, cli, complaint, folder)


def test_a_split_that_does_not_fit_the_task_file_is_refused(damaged, workshop):
    folder, _ = damaged
    task = dataclasses.replace(workshop.tasks["rte"], labels=("entailment", "not_entailment"))
    with pytest.raises(UserError, match=r"header.json: labels: \['not_entailment', 'entailment'\], expected"):
        read_split(folder.parent, task, "dev")
    with pytest.raises(UserError, match="rte_train: no such tokenized split, expected one; make it with prepro.py"):
        read_split(folder.parent, task, "train")


def test_prepro_writes_a_split_again_whose_kind_of_task_has_changed(workshop, tmp_path, cli):
    task_def = tmp_path / "tasks.yml"
    entry = "{kind: KIND, metrics: [pearson], text: [sentence], label: score, splits: {train: a.tsv, dev: a.tsv}}"
    (tmp_path / "a.tsv").write_text("sentence\tscore\na film\t1\na sequel\t2\n")
    other = type("AbsoluteError", (type(TASK_KINDS["regression"]),), {"name": "absolute_error"})()
    command = ("--task_def", task_def, "--raw_dir", tmp_path, "--data_dir", tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TASK_KINDS, other.name, other)
        for kind in ("regression", other.name):
            task_def.write_text(f"a: {entry.replace('KIND', kind)}\n")
            ended = cli("prepro.py", *command, "--init_checkpoint", workshop.encoder)
            assert ended.status == 0 and ended.out.count("; written") == 2, ended.err
            assert len(read_split(tmp_path / "out", read_tasks(task_def)["a"], "train")) == 2


def test_a_file_in_the_place_of_a_split_is_refused(damaged, workshop, refused):
    folder, read = damaged
    folder.with_name("rte_train").write_text("mine")
    with pytest.raises(UserError, match="rte_train: a file, expected the folder of a tokenized split; move it away"):
        read("train")
    assert "rte_train: a file, expected a folder" in refused(*tokenize(workshop, folder.parent, "rte"))
    assert folder.with_name("rte_train").read_text() == "mine"
    (folder / "tokens.bin").unlink()
    (folder / "header.json").unlink()
    with pytest.raises(UserError, match="rte_dev/header.json: no such file, expected the header of a tokenized split"):
        read("dev")


def test_a_split_that_is_a_link_is_written_where_the_link_leads(damaged, workshop, cli):
    folder, read = damaged
    (disk := folder.parent / "disk").mkdir()
    folder.rename(disk / "split")
    folder.symlink_to(disk / "split")
    flip(disk / "split/tokens.bin", 7, 3)
    refused_and_written_again(damaged, workshop, cli, f"{folder}/tokens.bin: its content")
    assert folder.is_symlink() and [path.name for path in disk.iterdir()] == ["split"]
