"""Runs, models and exports that an earlier version made still load, report and export.

made_before/ was written by the code of commit c0458b2, from a tiny encoder and toy rows: a fine-tuned model with its
scores and masks (mood/), rewound tickets and exports of one of them (mood/rewind/), and a training that was stopped in
its second epoch (stopped/): its Adamax was computed in another way.
"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from calls import result_of

from data_utils.tsv import Row
from mt_dnn.export.classifier import load_classifier

KEPT = Path(__file__).parent / "made_before"
WINNING = "mood/rewind/winning/heads_2_ffns_1/seed_2018"


@pytest.fixture
def kept(tmp_path, cli, monkeypatch):
    """The folder of a copy, as working folder, with its rows tokenized anew."""
    shutil.copytree(KEPT, tmp_path / "kept")
    monkeypatch.chdir(tmp_path / "kept")
    paths = ("--task_def", "tasks.yml", "--raw_dir", "raw", "--data_dir", "data", "--init_checkpoint", "tiny-bert")
    ended = cli("prepro.py", *paths)
    assert ended.status == 0, ended.err
    return tmp_path / "kept"


DATA = ("--task_def", "tasks.yml", "--data_dir", "data", "--init_checkpoint", "tiny-bert", "--train_datasets", "mood")
OPTIMIZATION = ("--epochs", 12, "--batch_size", 8, "--learning_rate", 2e-2, "--holdout", 0.25)
OPTIONS = (*DATA, *OPTIMIZATION, "--device", "cpu", "--precision", "float32")


def dev_rows(run):
    rows = list(csv.DictReader(open(run / "dev_predictions.tsv"), delimiter="\t"))
    lines = (KEPT / "raw/mood/dev.tsv").read_text().splitlines()[1:]
    return [Row((line.split("\t")[0],), None) for line in lines], [float(row["p(positive)"]) for row in rows]


@pytest.mark.parametrize(
    "folder, run",
    [
        ("mood", "mood"),
        (WINNING, WINNING),
        (f"{WINNING}/export/compact", WINNING),
        (f"{WINNING}/export/dense", WINNING),
    ],
)
def test_models_and_exports_give_their_predictions(folder, run):
    rows, expected = dev_rows(KEPT / run)
    outputs = load_classifier(KEPT / folder).outputs(rows)
    np.testing.assert_allclose(1 / (1 + np.exp(outputs[:, 0] - outputs[:, 1])), expected, rtol=0, atol=1e-4)


def test_runs_are_reported(kept, cli):
    ended = cli("mt_dnn/reports/__main__.py", "mood")
    assert ended.status == 0, ended.err
    assert f"{100 * result_of(KEPT / 'mood')['average_score']:.1f}" in (kept / "mood/report.md").read_text()


def test_finished_runs_are_recognised_and_their_masks_read(kept, cli):
    ended = cli("train.py", *OPTIONS, "--do_train", "--output_dir", "mood")
    assert ended.status == 0 and "fine-tuned before" in ended.out, ended.err
    rewind = ("rewind.py", *OPTIONS, "--masks", "mood/masks/winning", "--output_dir", "mood/rewind", "--save_model")
    ended = cli(*rewind)
    assert ended.status == 0 and "1 runs, 1 finished before" in ended.out, ended.err
    ended = cli(*rewind, "--seeds", 1)  # a mask of before gives a new run
    assert ended.status == 0 and "1 runs: 1 finished" in ended.out, ended.err


def test_scores_give_masks_at_other_sparsities(kept, cli):
    ended = cli("train.py", *OPTIONS, "--do_mask", "--output_dir", "mood", "--sparsities", 0.25, 0.5)
    assert ended.status == 0, ended.err
    mask = "masks/winning/heads_2_ffns_1.json"
    made, before = (json.loads((folder / mask).read_text()) for folder in (kept / "mood", KEPT / "mood"))
    assert made["tickets"] == before["tickets"] and (kept / "mood/masks/winning/heads_1_ffns_0.json").exists()


def test_a_stopped_training_whose_optimizer_was_another_is_refused(kept, cli):
    ended = cli("train.py", *OPTIONS, "--do_train", "--output_dir", "stopped", "--seed", 1)
    assert ended.status == 1 and "expected a checkpoint that this version wrote" in ended.err
    assert "remove stopped/checkpoint to start anew" in ended.err


@pytest.mark.parametrize("form, before", [("zeroed", "dense"), ("compact", "compact")])
def test_a_model_is_exported(kept, exported, form, before):
    assert f"| {form} |" in exported(WINNING, form)
    rows, _ = dev_rows(KEPT / WINNING)
    folders = (kept / WINNING / "export" / form, KEPT / WINNING / "export" / before)
    outputs = [load_classifier(folder).outputs(rows) for folder in folders]
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-5)
