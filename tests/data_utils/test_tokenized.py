"""Tokenized splits: their rows, damage, and what they were made from."""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from calls import files_up_to

from data_utils.errors import UserError
from data_utils.task_kinds import TASK_KINDS
from data_utils.tasks import read_tasks
from data_utils.tokenize_split import describe_tokenizer
from data_utils.tokenized import TokenizedSplit, data_fingerprints, read_header
from data_utils.tsv import read_rows


def test_tokenized_rows_are_the_tokenizers(workshop):
    for name in ("rte", "stsb"):
        task, split = workshop.tasks[name], TokenizedSplit(workshop.data, workshop.tasks[name], "dev")
        rows = list(read_rows(workshop.raw / task.splits["dev"].file, task, task.splits["dev"], {}, False))
        batch = split.batch(np.arange(len(split)))
        expected = workshop.tokenizer(*map(list, zip(*(row.texts for row in rows))), padding=True, return_tensors="pt")
        for key in expected:
            assert batch[key].equal(expected[key]), key
        assert batch["labels"].tolist() == [row.label for row in rows]
        assert split.lengths.tolist() == expected["attention_mask"].sum(1).tolist()


def test_a_split_does_not_depend_on_how_many_rows_are_tokenized_at_once(workshop, tmp_path, cli, monkeypatch):
    monkeypatch.setattr("data_utils.tokenize_split.CHUNK", 7)
    paths = ("--raw_dir", workshop.raw, "--init_checkpoint", workshop.encoder, "--data_dir")
    assert cli("prepro.py", *paths, tmp_path, "--tasks", "rte").status == 0
    for file in (workshop.data / "rte_train").glob("*.bin"):
        assert file.read_bytes() == (tmp_path / "rte_train" / file.name).read_bytes(), file.name
    headers = [read_header(folder / "rte_train") for folder in (workshop.data, tmp_path)]
    assert headers[0]["rows"] > 7 and headers[0]["longest_row"] == headers[1]["longest_row"]


def test_all_tokens_come_in_parts(workshop, monkeypatch):
    monkeypatch.setattr("data_utils.tokenized.PART", 7)
    split = TokenizedSplit(workshop.data, workshop.tasks["rte"], "dev")
    rows = [split.batch(np.array([row]))["input_ids"][0].numpy() for row in range(len(split))]
    assert np.array_equal(np.concatenate(list(split.tokens_in_parts())), np.concatenate(rows))


def test_long_pairs_are_cut_to_max_seq_len(workshop, tmp_path, cli):
    cli(
        "prepro.py",
        "--raw_dir",
        workshop.raw,
        "--data_dir",
        tmp_path,
        "--tasks",
        "rte",
        "--init_checkpoint",
        workshop.encoder,
        "--max_seq_len",
        12,
    )
    split = TokenizedSplit(tmp_path, workshop.tasks["rte"], "train")
    assert (
        split.header["longest_row"] == split.lengths.max() == 12
        and split.header["rows_as_long_as_max_seq_len"] == (split.lengths == 12).sum() > 0
    )
    separator = workshop.tokenizer.sep_token_id
    ids = split.batch(np.flatnonzero(split.lengths == 12))["input_ids"]
    assert (ids[:, -1] == separator).all() and ((ids == separator).sum(1) == 2).all()


@pytest.fixture
def damaged(workshop, tmp_path):
    """A copy of the dev split of RTE to damage: (its folder, a function that opens it)."""
    folder = tmp_path / "rte_dev"
    shutil.copytree(workshop.data / "rte_dev", folder)
    return folder, lambda split="dev": TokenizedSplit(tmp_path, workshop.tasks["rte"], split)


def refused_and_written_again(damaged, workshop, cli, complaint, folder=None):
    folder, read = folder or damaged[0], damaged[1]
    with pytest.raises(UserError, match=f"^{complaint}"):
        read(folder.name.removeprefix("rte_"))
    ended = cli(*tokenize(workshop, folder.parent, "rte"))
    assert ended.status == 0 and f"{folder}: " in ended.out
    (line,) = [line for line in ended.out.splitlines() if line.startswith(f"{folder}: ")]
    assert line.endswith("; written")
    assert read(folder.name.removeprefix("rte_")).header["task"] == "rte"
    assert cli(*tokenize(workshop, folder.parent, "rte")).out.count("up to date") == 3


def tokenize(workshop, data_dir, task, *more):
    paths = ("--raw_dir", workshop.raw, "--data_dir", data_dir, "--init_checkpoint", workshop.encoder)
    return ("prepro.py", *paths, "--tasks", task, "--max_seq_len", 64, *more)


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
        TokenizedSplit(folder.parent, task, "dev")
    with pytest.raises(UserError, match="rte_train: no such tokenized split, expected one; make it with prepro.py"):
        TokenizedSplit(folder.parent, task, "train")


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
            assert len(TokenizedSplit(tmp_path / "out", read_tasks(task_def)["a"], "train")) == 2


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


def test_the_fingerprint_of_what_a_split_was_made_from_is_the_one_in_the_runs_of_earlier_versions(workshop):
    """Runs hold it in their config.json; it must not change, or they could not be resumed."""
    task = workshop.tasks["rte"]
    made_from = TokenizedSplit(workshop.data, task, "dev").header["made_from"]
    earlier = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    assert data_fingerprints(workshop.data, task, ["dev"]) == {"rte_dev": earlier}


COLLIDING = """
a: {kind: regression, metrics: [pearson], text: [sentence], label: score, splits: {train: a.tsv, b_dev: b.tsv}}
a_b: {kind: regression, metrics: [pearson], text: [sentence], label: score, splits: {train: c.tsv, dev: d.tsv}}
"""


def test_two_tasks_whose_splits_would_share_a_folder_are_refused(tmp_path, workshop, refused, cli):
    path = tmp_path / "tasks.yml"
    path.write_text(COLLIDING)
    with pytest.raises(UserError, match=f"{path}: a_b.splits.dev: its folder would be a_b_dev, expected another than"):
        read_tasks(path)
    for name in "abcd":
        (tmp_path / f"{name}.tsv").write_text("sentence\tscore\na film\t1\n")
    for line, other in zip(COLLIDING.split("\n")[1:], ("a", "a_b")):  # one task file for each, but one --data_dir
        path.write_text(line)
        command = ("--task_def", path, "--raw_dir", tmp_path, "--data_dir", tmp_path / "out")
        if other == "a":
            assert cli("prepro.py", *command, "--init_checkpoint", workshop.encoder).status == 0
    assert "a_b_dev: holds split 'b_dev' of task 'a', expected 'dev' of 'a_b' or nothing" in refused(
        "prepro.py", *command, "--init_checkpoint", workshop.encoder
    )


def test_another_tokenizer_is_refused(workshop):
    vocabulary, kind = workshop.tokenizer.get_vocab(), workshop.tokenizer.__class__
    for other in (kind(vocab={**vocabulary, "sequel": len(vocabulary)}), kind(vocab=vocabulary, do_lower_case=False)):
        with pytest.raises(UserError, match="tokenized for 'tiny-bert', expected the tokenizer of"):
            TokenizedSplit(workshop.data, workshop.tasks["rte"], "dev", describe_tokenizer(other))


def test_a_tokenizer_that_can_not_pad_is_refused(workshop, tmp_path, refused):
    shutil.copytree(workshop.encoder, tmp_path / "encoder")
    config = tmp_path / "encoder/tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "pad_token": None}))
    line = refused(*tokenize(SimpleNamespace(raw=workshop.raw, encoder=tmp_path / "encoder"), tmp_path / "out", "rte"))
    assert "encoder: a tokenizer without a padding token, expected that of an encoder like BERT" in line


def test_a_name_that_is_not_utf_8_is_refused_before_anything_is_done(workshop, tmp_path, refused):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    assert "\\udcff': not UTF-8, expected names" in refused(*tokenize(workshop, folder, "rte"))
    assert list(tmp_path.iterdir()) == []


def test_prepro_on_a_full_disk_ends_with_one_line_and_keeps_the_older_split(workshop, tmp_path, cli, refused):
    assert cli(*tokenize(workshop, tmp_path, "rte")).status == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    with files_up_to(3000):  # bytes in a file; the tokens are more
        line = refused(*tokenize(workshop, tmp_path, "rte", "--max_seq_len", 32))
    assert f"{tmp_path}/rte_train: File too large" in line
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == before


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"text": ("sentence2",)}, r"made_from.text: \['sentence1', 'sentence2'\], expected \['sentence2'\]"),
        (
            {"label": "label1"},
            "made_from.label: 'label', expected 'label1', as the task says; undo the change of the task, or run",
        ),
    ],
)
def test_a_split_made_from_other_columns_than_the_task_says_is_refused(workshop, change, complaint):
    rte = workshop.tasks["rte"]
    splits = {split: dataclasses.replace(layout, **change) for split, layout in rte.splits.items()}
    data_fingerprints(workshop.data, rte, ["train", "dev"])
    with pytest.raises(UserError, match=f"rte_dev/header.json: {complaint}"):
        data_fingerprints(workshop.data, dataclasses.replace(rte, splits=splits), ["dev"])
    dropping = dataclasses.replace(rte, drop_labels=("-",))
    with pytest.raises(UserError, match=r"made_from.drop_labels: \[\], expected \['-'\]"):
        data_fingerprints(workshop.data, dropping, ["dev"])
