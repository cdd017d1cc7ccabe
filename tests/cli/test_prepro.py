"""prepro.py over several tasks, where files of some are missing or have bad rows."""

import errno
import json
import shutil

from calls import tokenize

from data_utils import files


def test_every_problem_is_told_and_what_has_none_is_tokenized(workshop, tmp_path, cli):
    shutil.copytree(workshop.raw, tmp_path / "glue")
    (tmp_path / "glue/RTE/dev.tsv").unlink()
    for name in ("CoLA/train.tsv", "SST-2/train.tsv"):
        with open(tmp_path / "glue" / name, "a") as file:
            file.write("broken\n")
    paths = ("--raw_dir", tmp_path / "glue", "--data_dir", tmp_path / "out", "--init_checkpoint", workshop.encoder)
    ended = cli("prepro.py", *paths, "--tasks", "cola,rte,sst")
    assert ended.status == 2
    (line,) = ended.err.splitlines()
    assert "no RTE/dev.tsv" in line and line.endswith("(2 more above)")
    assert ended.out.count("also: ") == 2 and "CoLA/train.tsv:" in ended.out and "SST-2/train.tsv:" in ended.out
    written = {"cola_dev", "rte_train", "sst_dev"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == written


def test_a_file_that_may_not_be_read_hides_no_other_problem(workshop, tmp_path, cli, monkeypatch):
    def sha256(path):
        if path.name == "dev.tsv":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return files.sha256(path)

    monkeypatch.setattr("data_utils.tokenize_split.sha256", sha256)
    ended = cli(*tokenize(workshop, tmp_path, "rte,sst"))
    assert ended.status == 2 and "SST-2/dev.tsv: Permission denied (1 more above)" in ended.err
    assert f"also: {workshop.raw}/RTE/dev.tsv: Permission denied\n" in ended.out and ended.out.count("; written") == 2


def test_a_full_memory_is_one_line_also_while_a_split_is_tokenized(workshop, tmp_path, cli, monkeypatch):
    def write_split(*arguments):
        raise MemoryError

    monkeypatch.setattr("data_utils.tokenize_split.write_split", write_split)
    ended = cli(*tokenize(workshop, tmp_path, "rte"))
    assert ended.status == 1 and "the memory is full; end other programs that use it" in ended.err


def test_where_a_tasks_file_is_missing_the_others_are_tokenized_and_the_last_line_lists_it(workshop, tmp_path, cli):
    shutil.copytree(workshop.raw, tmp_path / "glue")
    (tmp_path / "glue/RTE/dev.tsv").unlink()
    shutil.rmtree(tmp_path / "glue/CoLA")
    paths = ("--raw_dir", tmp_path / "glue", "--data_dir", tmp_path / "out", "--init_checkpoint", workshop.encoder)
    call = ("prepro.py", *paths, "--max_seq_len", 64, "--tasks", "cola,rte,sst")
    ended = cli(*call)
    assert ended.status == 2 and len(ended.err.splitlines()) == 1
    assert "no CoLA/train.tsv, CoLA/dev.tsv, RTE/dev.tsv, expected the files of cola, rte" in ended.err
    written = {"rte_train", "sst_train", "sst_dev"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == written
    for name in ("RTE", "CoLA"):
        shutil.copytree(workshop.raw / name, tmp_path / "glue" / name, dirs_exist_ok=True)
    ended = cli(*call)
    assert ended.status == 0 and ended.out.count("; written") == 3 and ended.out.count("; up to date") == 3, ended.err
    assert "(cut" not in ended.out
    ended = cli(*call[:-3], 8, "--tasks", "rte")
    header = json.loads((tmp_path / "out/rte_train/header.json").read_text())
    assert (
        f"{header['rows_as_long_as_max_seq_len']} of them with 8 tokens (cut, or exactly that long); written"
        in ended.out
    )
