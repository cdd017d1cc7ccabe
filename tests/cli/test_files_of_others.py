"""Folders and files that are no output of ours are never replaced or removed."""

import os
import shutil
import time

from calls import QUICK, options
from fake_runs import REPORT, write_line

from data_utils.files import remove_left_overs


def files_below(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_prepro_does_not_replace_raw_files(workshop, tmp_path, refused):
    raw = tmp_path / "sst_train"  # where the tokenized split would go
    raw.mkdir()
    shutil.copy(workshop.raw / "SST-2/train.tsv", raw / "train.tsv")
    before = files_below(raw)
    arguments = ("--raw_dir", workshop.raw, "--data_dir", tmp_path, "--init_checkpoint", workshop.encoder)
    told = refused("prepro.py", *arguments, "--tasks", "sst")
    assert "sst_train: has train.tsv, expected a tokenized split" in told
    assert files_below(raw) == before


def test_training_does_not_replace_another_model(workshop, fine_tuned, tmp_path, refused):
    shutil.copytree(workshop.encoder, tmp_path / "model")
    before = files_below(tmp_path / "model")
    call = ("train.py", *options(workshop), *QUICK, "--do_train", "--output_dir", tmp_path)
    assert "model: not a model of ours" in refused(*call)
    assert "model: the weights to start from" in refused(*call, "--init_checkpoint", tmp_path / "model")
    assert files_below(tmp_path / "model") == before
    shutil.rmtree(tmp_path / "model")
    shutil.copytree(fine_tuned / "model", tmp_path / "model")
    assert "model: the weights to start from" in refused(*call, "--init_checkpoint", tmp_path / "model")


def test_a_report_removes_its_own_old_files_alone(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.7]})
    names = ("super_tickets_held_out.yml", "super_tickets_train_fraction_0.1.yml", "super_tickets_mine.yml")
    for name in names:
        (tmp_path / name).write_text("rte: {heads: 2, ffns: 0}\n")
    assert cli(REPORT, tmp_path).status == 0
    assert [(tmp_path / name).exists() for name in names] == [False, False, True]


def test_half_written_files_of_other_programs_stay(tmp_path):
    ours, others = tmp_path / ".folder.another-machine.123.part", tmp_path / ".image.iso.part"
    for path in (ours, others):
        path.touch()
        os.utime(path, (time.time() - 3 * 24 * 3600,) * 2)
    remove_left_overs(tmp_path)
    assert not ours.exists() and others.exists()
