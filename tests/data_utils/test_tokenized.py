"""Tokenized splits: their rows, and what they were made from."""

import dataclasses
import hashlib
import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from calls import files_up_to, tokenize

from data_utils.errors import UserError
from data_utils.hub import load_tokenizer
from data_utils.tasks import read_task, read_tasks
from data_utils.tokenize_split import describe_tokenizer, tokenize_split
from data_utils.tokenized import data_fingerprints, read_header, read_split, training_rows_fingerprint
from data_utils.tsv import read_rows


def test_tokenized_rows_are_the_tokenizers(workshop):
    for name in ("rte", "stsb"):
        task, split = workshop.tasks[name], read_split(workshop.data, workshop.tasks[name], "dev")
        rows = list(read_rows(workshop.raw / task.splits["dev"].file, task, task.splits["dev"], {}, False))
        batch = split.batch(np.arange(len(split)))
        expected = workshop.tokenizer(*map(list, zip(*(row.texts for row in rows))), padding=True, return_tensors="pt")
        for key in expected:
            assert batch[key].equal(expected[key]), key
        assert batch["labels"].tolist() == [row.label for row in rows]
        assert split.lengths.tolist() == expected["attention_mask"].sum(1).tolist()


def test_tokens_beyond_65535_are_kept(workshop, tmp_path):
    """As in the vocabularies of multilingual encoders."""
    tokenizer = load_tokenizer(workshop.encoder)
    tokenizer.add_tokens([f"word{number}" for number in range(2**16)])
    (tmp_path / "rows.tsv").write_text("sentence\tlabel\nword65535 film\t1\n")
    task = workshop.tasks["sst"]
    tokenize_split(tmp_path / "rows.tsv", tmp_path, task, "train", tokenizer, max_seq_len=64, skip_bad_rows=False)
    ids = read_split(tmp_path, task, "train").batch(np.array([0]))["input_ids"][0].tolist()
    assert ids == tokenizer("word65535 film")["input_ids"] and max(ids) == len(tokenizer) - 1 > 2**16


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
    split = read_split(workshop.data, workshop.tasks["rte"], "dev")
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
    split = read_split(tmp_path, workshop.tasks["rte"], "train")
    assert (
        split.header["longest_row"] == split.lengths.max() == 12
        and split.header["rows_as_long_as_max_seq_len"] == (split.lengths == 12).sum() > 0
    )
    separator = workshop.tokenizer.sep_token_id
    ids = split.batch(np.flatnonzero(split.lengths == 12))["input_ids"]
    assert (ids[:, -1] == separator).all() and ((ids == separator).sum(1) == 2).all()


def test_the_fingerprint_of_what_a_split_was_made_from_is_the_one_that_recorded_runs_have(workshop):
    """Runs hold it in their config.json; it must not change, or they would be refused."""
    task = workshop.tasks["rte"]
    made_from = read_split(workshop.data, task, "dev").header["made_from"]
    earlier = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]
    assert data_fingerprints(workshop.data, task, ["dev"]) == {"rte_dev": earlier}


def test_splits_of_a_task_that_are_cut_at_different_lengths_are_refused(workshop, tmp_path):
    task = workshop.tasks["rte"]

    def fingerprints(of_train, of_dev):
        for split, longest in (("train", of_train), ("dev", of_dev)):
            raw = workshop.raw / task.splits[split].file
            tokenize_split(raw, tmp_path, task, split, workshop.tokenizer, longest, skip_bad_rows=False)
        return data_fingerprints(tmp_path, task, ["train", "dev"])

    with pytest.raises(UserError, match="rte_dev: tokenized with --max_seq_len 8, expected 64, as for .*_train; run"):
        fingerprints(64, 8)
    assert len(fingerprints(64, 60)) == 2  # no row is so long


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
            read_split(workshop.data, workshop.tasks["rte"], "dev", describe_tokenizer(other))


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


def test_a_split_of_rows_that_are_left_out_for_another_reason_is_made_anew_and_has_other_rows(workshop, tmp_path):
    """Where bad rows are left out, `columns` and `labels` decide which rows there are."""
    (tmp_path / "new.tsv").write_text("a film\t0\tx\na sea\t1\nboats\t2\tx\n")
    entry = {"kind": "classification", "metrics": ["accuracy"], "text": [0], "label": 1, "splits": {"train": "new.tsv"}}

    def made(labels, columns, skip=True, drop=False):
        more = {"labels": list(labels), "columns": columns, "drop_incomplete": drop}
        task = read_task("tasks.yml", "new", {**entry, **more})
        where = tmp_path / "new.tsv", tmp_path / "data", task, "train", workshop.tokenizer, 32
        line = tokenize_split(*where, skip_bad_rows=skip)
        return (
            line.split(",")[0].split(": ")[1],
            line.split("; ")[1],
            training_rows_fingerprint(tmp_path / "data", "new"),
        )

    first, again, labels, columns = made("012", 3), made("012", 3), made("01", 3), made("012", 2)
    assert [found[:2] for found in (first, again, labels, columns)] == [
        ("2 rows", "written"),
        ("2 rows", "up to date"),
        ("1 rows", "written"),
        ("1 rows", "written"),
    ]
    assert first[2] == again[2] and len({first[2], labels[2], columns[2]}) == 3
    dropping = made("012", 3, skip=False, drop=True), made("012", 2, skip=False, drop=True)
    assert [found[:2] for found in dropping] == [("2 rows", "written"), ("1 rows", "written")]


def test_what_decides_which_rows_there_are_is_in_their_fingerprint(workshop, tmp_path):
    text = "a film\ta day\t0\t1\na sea\tboats\t1\t0\nbirds\tit\t0\t0\n"
    (tmp_path / "new.tsv").write_text(text)
    (tmp_path / "other.tsv").write_text(text.replace("film", "day"))
    entry = {"kind": "classification", "metrics": ["accuracy"], "labels": ["0", "1"], "text": [0], "label": 2}
    entry["columns"] = 4

    def made(file="new.tsv", **change):
        task = read_task("tasks.yml", "new", {**entry, "splits": {"train": file}, **change})
        tokenize_split(tmp_path / file, tmp_path / "data", task, "train", workshop.tokenizer, 32, skip_bad_rows=False)
        return training_rows_fingerprint(tmp_path / "data", "new")

    changes = {"text": [1]}, {"label": 3}, {"drop_labels": ["1"]}, {"file": "other.tsv"}
    found = [made(), *(made(**change) for change in changes)]
    assert len(set(found)) == len(found)


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
