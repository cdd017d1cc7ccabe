"""Raw rows, task entries, tokenized splits, batches."""

import json
import shutil

import numpy as np
import pytest
import toy

from data_utils.batches import choose_rows, sorted_batches, split_rows, training_batches
from data_utils.errors import UserError
from data_utils.tasks import read_tasks
from data_utils.tokenized import TokenizedSplit, describe_tokenizer, up_to_date_header
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
        ("labels: [yes, no]", "new.labels: .*quote words like yes and no"),
        ("labels: ['1']", "new.labels: .*expected two or more different labels"),
        ("metrics: [bleu]", "new.metrics: .*expected for a classification a list of some of: accuracy, f1, matthews"),
        ("metrics: [f1]\n  labels: [a, b, c]", "new.metrics: .*f1 for two labels only"),
        ("head_dropout: 1.5", "new.head_dropout: 1.5, expected a number from 0 to below 1"),
        ("text: [0, sentence]", "new.splits.train.text: .*all by name or all by number"),
        ("text: [0]\n  label: 1", "new.splits.train.columns: None, expected how many columns"),
        ("label: 3", "new.splits.train.label: 3, expected a column by name as in text"),
        ("splits: {dev: dev.tsv}", "new.splits: .*expected `train: FILE` and more"),
        ("splits: {train: {path: x}}", "new.splits.train: .*expected a file name"),
        ("kind: [x]", "new.kind: .*expected one of"),
        ("metrics: [[accuracy]]", "new.metrics: .*a list of some of"),
        ("label: null", "new.splits.train.label: none, expected the column"),
        ("text: [-1]\n  columns: 4\n  label: 1", "new.splits.train.text: .*by number from 0"),
        ("splits: {train: {file: null}}", "new.splits.train: .*expected a file name"),
        ("splits: {train: a.tsv, B: b.tsv}", "new.splits: .*names of lower-case letters"),
        ("? [a, b]\n  : 1", "not readable as YAML"),
        ("when: 2021-99-99", "not readable as YAML"),
        ("lables: [a, b]", "new.lables: unknown key"),
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


def test_damaged_or_unfitting_splits_are_refused(workshop, tmp_path):
    task = workshop.tasks["rte"]
    shutil.copytree(workshop.data / "rte_dev", tmp_path / "rte_dev")
    tokens = tmp_path / "rte_dev" / "tokens.bin"
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(UserError, match="tokens.bin: .* bytes, expected .*damaged"):
        TokenizedSplit(tmp_path, task, "dev")
    assert (
        up_to_date_header(tmp_path / "rte_dev", TokenizedSplit(workshop.data, task, "dev").header["made_from"]) is None
    )
    header = json.loads((tmp_path / "rte_dev/header.json").read_text())
    header["labels"] = ["entailment", "not_entailment"]
    (tmp_path / "rte_dev/header.json").write_text(json.dumps(header))
    with pytest.raises(UserError, match="labels is .*but the task file says"):
        TokenizedSplit(tmp_path, task, "dev")
    for key, wrong in (
        ("rows", None),
        ("arrays", ["tokens"]),
        ("arrays", {**header["arrays"], "tokens": "object"}),
        ("pad_id", None),
    ):
        (tmp_path / "rte_dev/header.json").write_text(json.dumps({**header, "labels": list(task.labels), key: wrong}))
        with pytest.raises(UserError, match="header.json: .*run prepro.py again"):
            TokenizedSplit(tmp_path, task, "dev")
    with pytest.raises(UserError, match="rte_train: no such tokenized split"):
        TokenizedSplit(tmp_path, task, "train")


def test_another_tokenizer_is_refused(workshop):
    vocabulary, kind = workshop.tokenizer.get_vocab(), workshop.tokenizer.__class__
    for other in (kind(vocab={**vocabulary, "sequel": len(vocabulary)}), kind(vocab=vocabulary, do_lower_case=False)):
        with pytest.raises(UserError, match="tokenized for 'tiny-bert', expected the tokenizer of"):
            TokenizedSplit(workshop.data, workshop.tasks["rte"], "dev", describe_tokenizer(other))


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
