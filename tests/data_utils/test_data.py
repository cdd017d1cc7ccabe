"""Raw rows, task entries, tokenized splits, batches."""

import dataclasses
import hashlib
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import toy
from calls import files_up_to

from data_utils.batches import choose_rows, sorted_batches, split_rows, training_batches
from data_utils.errors import UserError
from data_utils.tasks import read_tasks
from data_utils.tokenize_split import describe_tokenizer
from data_utils.tokenized import TokenizedSplit, data_fingerprints
from data_utils.tsv import Row, read_rows

TASKS = read_tasks(toy.TASK_DEF)


def rows_of(path, task, split="train", skip_bad_rows=False):
    dropped = {}
    return list(read_rows(path, TASKS[task], TASKS[task].splits[split], dropped, skip_bad_rows)), dropped


# ---- official layouts ----


@pytest.mark.parametrize("task", list(TASKS))
def test_every_layout_of_glue_is_read(workshop, task):
    for split, layout in TASKS[task].splits.items():
        rows, _ = rows_of(workshop.raw / layout.file, task, split)
        assert rows and all(len(row.texts) == len(layout.text) and all(row.texts) for row in rows)
        assert all((row.label is None) == (layout.label is None) for row in rows)


def test_traps_of_the_official_files(workshop):
    assert len(rows_of(workshop.raw / "CoLA/train.tsv", "cola")[0]) == 40  # no header: the first row counts
    assert len(rows_of(workshop.raw / "CoLA/test.tsv", "cola", "test")[0]) == 40  # a header there
    assert len(rows_of(workshop.raw / "MRPC/train.tsv", "mrpc")[0]) == 40  # byte-order mark
    assert {row.label for row in rows_of(workshop.raw / "MNLI/train.tsv", "mnli")[0]} == {0, 1, 2}
    rows, dropped = rows_of(workshop.raw / "SNLI/snli_1.0_dev.txt", "snli", "dev")
    assert len(rows) == 38 and dropped == {"label -": 2}
    rows, dropped = rows_of(workshop.raw / "QQP/train.tsv", "qqp")
    assert len(rows) == 40 and dropped == {"wrong number of columns": 2, "empty text": 1}


def test_quotes_and_unicode_separators_are_plain_data(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_bytes('sentence\tlabel\r\n" it \'s\t1\nold\x85film\u2028here ""\t0\r\n'.encode())
    assert rows_of(path, "sst")[0] == [Row(("\" it 's",), 1), Row(('old\x85film\u2028here ""',), 0)]


# ---- bad rows ----

BAD = [
    ("sst", b"sentence\tlabel\na film\t1\nno label\n", ":3: 1 column, expected 2 separated by tabs"),
    ("sst", b"sentence\tlabel\na film\t1\nmore\t1\t1\n", ":3: 3 columns, expected 2"),
    ("sst", b"sentence\tlabel\na film\t1\na day\t2\n", ":3: label '2', expected one of: 0, 1"),
    ("sst", b"sentence\tlabel\na film\t1\n   \t1\n", ":3: column 1 is empty, expected a sentence"),
    ("sst", b"sentence\tlabel\na film\t1\na \xff day\t1\n", ":3: byte 3 of the line is not UTF-8"),
    (
        "stsb",
        b"index\tsentence1\tsentence2\tscore\n0\ta\tb\t4.0\n1\tc\td\thigh\n",
        ":3: label 'high', expected a number",
    ),
    ("stsb", b"index\tsentence1\tsentence2\tscore\n0\ta\tb\t4.0\n1\tc\td\tnan\n", ":3: label 'nan', expected a number"),
    ("cola", b"gj04\t1\t\ta film\ngj04\tx\t\ta day\n", ":2: label 'x'"),
]


@pytest.mark.parametrize("task, content, complaint", BAD)
def test_bad_rows_are_named_by_file_and_line_or_skipped_and_counted(tmp_path, task, content, complaint):
    path = tmp_path / "train.tsv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}{complaint}"):
        rows_of(path, task)
    rows, dropped = rows_of(path, task, skip_bad_rows=True)
    assert len(rows) == 1 and sum(dropped.values()) == 1


@pytest.mark.parametrize(
    "content, complaint",
    [
        (b"", ": no usable row, expected a header and at least one row"),
        (b"sentence\tlabel\n", ": no usable row"),
        (b"text\tlabel\na film\t1\n", ":1: no column 'sentence' in the header, expected it among: text, label"),
        (None, ": no such file"),
    ],
)
def test_unusable_files_are_refused_also_when_bad_rows_are_skipped(tmp_path, content, complaint):
    path = tmp_path / "train.tsv"
    if content is not None:
        path.write_bytes(content)
    for skip in (False, True):
        with pytest.raises(UserError, match=f"{path}{complaint}"):
            rows_of(path, "sst", skip_bad_rows=skip)


def test_prepro_leaves_nothing_half_written(workshop, tmp_path, refused, door):
    toy.write_sst(tmp_path / "glue")
    with open(tmp_path / "glue/SST-2/dev.tsv", "a") as file:
        file.write("a film\t7\n")
    arguments = (
        "prepro.py",
        "--raw_dir",
        tmp_path / "glue",
        "--data_dir",
        tmp_path / "out",
        "--tasks",
        "sst",
        "--init_checkpoint",
        workshop.encoder,
    )
    assert "SST-2/dev.tsv:62: label '7', expected one of: 0, 1" in refused(*arguments)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sst_train"]
    ended = door(*arguments, "--skip_bad_rows")
    assert ended.status == 0 and "1 dropped (unknown label)" in ended.out
    assert door(*arguments, "--skip_bad_rows").out.count("up to date") == 3


# ---- task entries ----


@pytest.mark.parametrize(
    "entry, complaint",
    [
        ("kind: ranking", "new.kind: 'ranking', expected one of classification, regression"),
        ("labels: [yes, no]", "new.labels.0.: True, expected a label .*in quotes if it is a word like yes or no"),
        ("labels: ['1']", "new.labels: .*expected two or more different labels"),
        ("metrics: [bleu]", "new.metrics.0.: .bleu., expected one of accuracy, f1, matthews"),
        ("metrics: [f1]\n  labels: [a, b, c]", "new.metrics: .*f1 for two labels only"),
        ("head_dropout: 1.5", "new.head_dropout: 1.5, expected a number from 0 to below 1"),
        ("text: [0, sentence]", "new.splits.train.text: .*all by name or all by number"),
        (
            "text: [0]\n  label: 1",
            "new.splits.train.columns: None, expected the number of columns in every row, from 2",
        ),
        ("label: 3", "new.splits.train.label: 3, expected a column by name, as in text"),
        ("splits: {dev: dev.tsv}", "new.splits: .*expected `train: FILE` and more"),
        (
            "splits: {train: {path: x}}",
            "new.splits.train.path: unknown key, expected some of: file, text, label, columns",
        ),
        ("kind: [x]", "new.kind: .*expected one of"),
        ("metrics: [[accuracy]]", "new.metrics.0.: .*expected one of accuracy"),
        ("label: null", "new.splits.train.label: none, expected the column"),
        ("text: [-1]\n  columns: 4\n  label: 1", "new.splits.train.text: .*by number from 0"),
        ("splits: {train: {file: null}}", "new.splits.train.file: None, expected a file name"),
        ("splits: {train: a.tsv, B: b.tsv}", "new.splits: 'B', expected a name of lower-case letters"),
        ("? [a, b]\n  : 1", "not readable as YAML"),
        ("when: 2021-99-99", "not readable as YAML"),
        ("lables: [a, b]", "new.lables: unknown key"),
        ("metrics: null", "new.metrics: None, expected a list of metrics"),
        ("drop_labels: 3", "new.drop_labels: 3, expected a list of labels"),
        ("head_dropout: .inf", "inf, expected a finite number"),
        ("text: [a, b, c]", "new.splits.train.text: .*expected one or two columns"),
        ("splits: 3", "new.splits: 3, expected `train: FILE` and more"),
    ],
)
def test_bad_task_entries_are_refused_with_file_and_key(tmp_path, entry, complaint):
    good = {
        "kind": "classification",
        "labels": "['0', '1']",
        "metrics": "[accuracy]",
        "text": "[sentence]",
        "label": "label",
        "splits": "{train: train.tsv, dev: dev.tsv}",
    }
    own = {line.split(":")[0].strip() for line in entry.splitlines()}
    path = tmp_path / "tasks.yml"
    path.write_text(
        "new:\n" + "".join(f"  {key}: {value}\n" for key, value in good.items() if key not in own) + f"  {entry}\n"
    )
    with pytest.raises(UserError, match=f"{path}:.* {complaint}"):
        read_tasks(path)


def test_a_task_pasted_twice_is_noticed(tmp_path):
    path = tmp_path / "tasks.yml"
    path.write_text("a: {kind: regression}\nb: {}\na: {}\n")
    with pytest.raises(UserError, match=f"{path}:3: .*'a' stands here twice"):
        read_tasks(path)


def test_dev_sets_are_found_by_name():
    assert TASKS["mnli"].dev_sets == {"mnli_matched": "matched_dev", "mnli_mismatched": "mismatched_dev"}
    assert TASKS["rte"].dev_sets == {"rte": "dev"}


# ---- tokenized splits ----


def test_tokenized_rows_are_the_tokenizers(workshop):
    for name in ("rte", "stsb"):
        task, split = workshop.tasks[name], TokenizedSplit(workshop.data, workshop.tasks[name], "dev")
        rows, _ = rows_of(workshop.raw / task.splits["dev"].file, name, "dev")
        batch = split.batch(np.arange(len(split)))
        expected = workshop.tokenizer(*map(list, zip(*(row.texts for row in rows))), padding=True, return_tensors="pt")
        for key in expected:
            assert batch[key].equal(expected[key]), key
        assert batch["labels"].tolist() == [row.label for row in rows]
        assert split.lengths.tolist() == expected["attention_mask"].sum(1).tolist()


def test_long_pairs_are_cut_to_max_seq_len(workshop, tmp_path, door):
    door(
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


def refused_and_written_again(damaged, workshop, door, complaint, folder=None):
    folder, read = folder or damaged[0], damaged[1]
    with pytest.raises(UserError, match=f"^{complaint}"):
        read(folder.name.removeprefix("rte_"))
    ended = door(*tokenize(workshop, folder.parent, "rte"))
    assert ended.status == 0 and f"{folder}: " in ended.out
    (line,) = [line for line in ended.out.splitlines() if line.startswith(f"{folder}: ")]
    assert line.endswith("; written")
    assert read(folder.name.removeprefix("rte_")).header["task"] == "rte"
    assert door(*tokenize(workshop, folder.parent, "rte")).out.count("up to date") == 3


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
def test_a_damaged_array_is_refused_and_prepro_writes_it_again(damaged, workshop, door, name, damage, complaint):
    damage(damaged[0] / f"{name}.bin")
    refused_and_written_again(damaged, workshop, door, f"{damaged[0]}/{name}.bin: {complaint}")


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
def test_an_edited_header_is_refused_and_prepro_writes_it_again(damaged, workshop, door, change):
    header = damaged[0] / "header.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), **change}))
    refused_and_written_again(
        damaged, workshop, door, f"{header}: fingerprint: .*changed by hand or is damaged, run prep"
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
def test_a_header_of_wrong_types_is_refused_with_its_key(damaged, workshop, door, change, complaint):
    header = damaged[0] / "header.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), **change}))
    refused_and_written_again(damaged, workshop, door, f"{header}: {complaint}")


def test_a_split_of_a_version_without_fingerprints_is_written_again(damaged, workshop, door):
    path = damaged[0] / "header.json"
    header = json.loads(path.read_text())
    header.pop("fingerprint")
    header["arrays"] = {name: array["type"] for name, array in header["arrays"].items()}
    path.write_text(json.dumps(header))
    refused_and_written_again(
        damaged, workshop, door, f"{path}: fingerprint: missing, expected text; run prepro.py again"
    )


def test_another_split_in_the_place_of_one_is_refused_and_written_again(damaged, workshop, door):
    folder = damaged[0].with_name("rte_train")
    damaged[0].rename(folder)
    complaint = f"{folder}/header.json: split: 'dev', expected 'train', as the task says; run prepro.py again"
    refused_and_written_again(damaged, workshop, door, complaint, folder)


def test_a_split_that_does_not_fit_the_task_file_is_refused(damaged, workshop):
    folder, _ = damaged
    task = dataclasses.replace(workshop.tasks["rte"], labels=("entailment", "not_entailment"))
    with pytest.raises(UserError, match=r"header.json: labels: \['not_entailment', 'entailment'\], expected"):
        TokenizedSplit(folder.parent, task, "dev")
    with pytest.raises(UserError, match="rte_train: no such tokenized split, expected one; make it with prepro.py"):
        TokenizedSplit(folder.parent, task, "train")


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


def test_a_split_that_is_a_link_is_written_where_the_link_leads(damaged, workshop, door):
    folder, read = damaged
    (disk := folder.parent / "disk").mkdir()
    folder.rename(disk / "split")
    folder.symlink_to(disk / "split")
    flip(disk / "split/tokens.bin", 7, 3)
    refused_and_written_again(damaged, workshop, door, f"{folder}/tokens.bin: its content")
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


def test_two_tasks_whose_splits_would_share_a_folder_are_refused(tmp_path, workshop, refused, door):
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
            assert door("prepro.py", *command, "--init_checkpoint", workshop.encoder).status == 0
    assert "a_b_dev: split 'b_dev' of task 'a', expected to be free for 'dev' of 'a_b'" in refused(
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


def test_prepro_on_a_full_disk_ends_with_one_line_and_keeps_the_older_split(workshop, tmp_path, door, refused):
    assert door(*tokenize(workshop, tmp_path, "rte")).status == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("*/*")}
    with files_up_to(3000):  # bytes in a file; the tokens are more
        line = refused(*tokenize(workshop, tmp_path, "rte", "--max_seq_len", 32))
    assert f"{tmp_path}/rte_train: File too large" in line
    assert {path: path.read_bytes() for path in tmp_path.glob("*/*")} == before


# ---- batches ----


def test_training_batches_hold_every_row_once_and_change_with_epoch_and_seed():
    lengths = np.random.default_rng(0).integers(5, 200, 3001)
    batches = training_batches(lengths, 32, seed=1, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(3001)) and len(batches) == 94
    again, next_epoch, other = (training_batches(lengths, 32, *key) for key in ((1, 1), (1, 2), (2, 1)))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again))
    assert not np.array_equal(batches[0], next_epoch[0]) and not np.array_equal(batches[0], other[0])
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded < 1.1 * lengths.sum()  # in random order it would be about twice as much
    assert sorted(np.concatenate(sorted_batches(lengths, 64))) == list(range(3001))


def test_smaller_fractions_lie_inside_larger_ones():
    parts = [set(choose_rows(1000, fraction, seed=3).tolist()) for fraction in (0.001, 0.01, 0.1, 0.5, 1.0)]
    assert [len(part) for part in parts] == [1, 10, 100, 500, 1000]
    assert all(smaller < larger for smaller, larger in zip(parts, parts[1:]))
    assert parts[2] != set(choose_rows(1000, 0.1, seed=4).tolist())


@pytest.mark.parametrize("rows, holdout, held_out", [(1000, 0.1, 100), (1000, 0.0, 0), (7, 0.01, 1)])
def test_held_out_rows_are_no_training_rows(rows, holdout, held_out):
    training, out = split_rows(rows, holdout)
    assert len(out) == held_out and sorted([*training, *out]) == list(range(rows))
    assert len(out) < 10 or abs(np.mean(out) - rows / 2) < rows / 8  # from all over the file


@pytest.mark.parametrize("tokens", [None, 1, 40, 300, 10**6])
def test_batches_are_cut_into_parts_of_so_many_tokens(tokens):
    lengths = np.random.default_rng(1).integers(3, 60, 500)
    whole, parts = sorted_batches(lengths, 32), sorted_batches(lengths, 32, tokens)
    assert np.array_equal(np.concatenate(parts), np.concatenate(whole))  # every row once, in the same order
    if tokens is None or tokens > 32 * 60:
        assert len(parts) == len(whole)
    for part in parts:
        assert len(part) <= 32 and (len(part) == 1 or tokens is None or len(part) * lengths[part].max() <= tokens)
    starts = np.cumsum([0, *map(len, parts)])
    assert set(range(0, 500, 32)) <= set(starts)  # no part has rows of two batches
