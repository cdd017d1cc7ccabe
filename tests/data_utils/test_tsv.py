"""Raw rows: the official layouts of GLUE, and bad rows."""

import pytest
import toy
import toy_tasks

from data_utils.errors import UserError
from data_utils.tasks import read_tasks
from data_utils.tsv import Row, read_rows

TASKS = read_tasks(toy_tasks.TASK_DEF)


def rows_of(path, task, split="train", skip_bad_rows=False):
    dropped = {}
    return list(read_rows(path, TASKS[task], TASKS[task].splits[split], dropped, skip_bad_rows)), dropped


@pytest.mark.parametrize("task", list(TASKS))
def test_every_layout_of_glue_is_read(workshop, task):
    for split, layout in TASKS[task].splits.items():
        rows, _ = rows_of(workshop.raw / layout.file, task, split)
        assert rows and all(len(row.texts) == len(layout.text) and all(row.texts) for row in rows)
        words = {word for row in rows for text in row.texts for word in text.split()}
        assert words <= {*toy.GOOD, *toy.BAD, *toy.PLAIN}  # no other column
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


def test_a_row_with_a_label_to_drop_is_dropped_whatever_its_texts(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("gold_label\tsentence1\tsentence2\n-\ta film\t\nneutral\ta day\tthe sea\n")
    rows, dropped = rows_of(path, "snli")
    assert len(rows) == 1 and dropped == {"label -": 1}


def test_texts_keep_their_order(tmp_path):
    (tmp_path / "train.tsv").write_text("index\tsentence1\tsentence2\tlabel\n0\tone\ttwo\tentailment\n")
    (row,), _ = rows_of(tmp_path / "train.tsv", "rte")
    assert row.texts == ("one", "two") and TASKS["rte"].labels[row.label] == "entailment"


def test_quotes_and_unicode_separators_are_plain_data(tmp_path):
    path = tmp_path / "train.tsv"
    path.write_bytes('sentence\tlabel\r\n" it \'s\t1\nold\x85film\u2028here ""\t0\r\n!\r?\t1\n\U0001fae8\t1\n'.encode())
    expected = [("\" it 's", 1), ('old\x85film\u2028here ""', 0), ("!\r?", 1), ("\U0001fae8", 1)]
    assert rows_of(path, "sst")[0] == [Row((text,), label) for text, label in expected]


BAD = [
    ("sst", b"sentence\tlabel\na film\t1\nno label\n", ":3: 1 column, expected 2 separated by tabs"),
    ("sst", b"sentence\tlabel\na film\t1\nmore\t1\t1\n", ":3: 3 columns, expected 2"),
    ("sst", b"sentence\tlabel\na film\t1\na day\t2\n", ":3: label '2', expected one of: 0, 1"),
    ("sst", b"sentence\tlabel\na film\t1\n   \t1\n", ":3: column 1 is empty, expected a sentence"),
    ("sst", "sentence\tlabel\na film\t1\n\0\u200b \u00ad\t1\n".encode(), ":3: column 1 is empty, expected a sentence"),
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
        (b"sentence\tlabel\ra film\t1\r", ":1: lines end with CR alone, as on old Macs, expected LF or CRLF"),
        (b"text" * 999, ":1: no column 'sentence' in the header, expected it among: (text){50} [.]{3}$"),
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


def test_prepro_leaves_out_a_split_with_a_bad_row_and_writes_the_others(workshop, tmp_path, refused, cli):
    toy_tasks.write_sst(tmp_path / "glue")
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
    line = refused(*arguments)
    assert "SST-2/dev.tsv:62: label '7', expected one of: 0, 1; --skip_bad_rows (PREPRO_FLAGS=" in line
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sst_train"]
    ended = cli(*arguments, "--skip_bad_rows")
    assert ended.status == 0 and "1 dropped (unknown label)" in ended.out
    assert ended.out.count("up to date") == 1  # it has no bad rows, so the flag makes no difference to it
    assert cli(*arguments, "--skip_bad_rows").out.count("up to date") == 2
    assert "still holds" not in line
    assert refused(*arguments).endswith(
        f"drops such rows; {tmp_path}/out/sst_dev still holds the rows of an earlier call\n"
    )
