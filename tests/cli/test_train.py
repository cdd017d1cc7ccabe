"""train.py end to end on a tiny BERT and toy tasks: training, scores, masks, checkpoints."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from calls import QUICK, options, result_of
from toy_tasks import TASK_DEF

from data_utils.rows import split_rows
from data_utils.tokenized import TokenizedSplit, read_split
from mt_dnn.model_files import load_model
from mt_dnn.records.predictions import read_predictions
from mt_dnn.run_folder import RunFolder
from mt_dnn.training.evaluate import measure, predict


def test_training_learns_and_writes_what_a_person_reads(fine_tuned):
    assert {path.name for path in fine_tuned.iterdir()} == {
        "config.json",
        "log.txt",
        "metrics.jsonl",
        "result.json",
        "model",
        "importance.json",
        "importance.png",
        "masks",
        "dev_predictions.tsv",
    }
    epochs = [json.loads(line) for line in (fine_tuned / "metrics.jsonl").read_text().splitlines()]
    assert (
        [line["epoch"] for line in epochs] == [1, 2, 3]
        and epochs[-1]["step"] == 90
        and epochs[-1]["loss"] < epochs[0]["loss"]
    )
    assert result_of(fine_tuned)["dev"]["sst"]["accuracy"] >= 0.9
    log = (fine_tuned / "log.txt").read_text()
    for wanted in (
        "command: ",
        "versions: ",
        "seed 2018",
        "960 of 960 training rows",
        "parameters: ",
        "update 25/90",
        "tokens/s",
        " left",
        "dev: sst accuracy",
        "importance by example",
    ):
        assert wanted in log
    assert (fine_tuned / "importance.png").read_bytes().startswith(b"\x89PNG")


def test_evaluating_less_often_changes_nothing_else(workshop, tmp_path, cli):
    for every in (1, 2):
        options_of_run = (*options(workshop), *QUICK, "--epochs", 3, "--evaluate_every", every, "--do_train")
        assert cli("train.py", *options_of_run, "--output_dir", tmp_path / str(every)).status == 0
    epochs = [json.loads(line) for line in (tmp_path / "2/metrics.jsonl").read_text().splitlines()]
    assert ["dev" in line for line in epochs] == [False, True, True]
    assert (tmp_path / "2/log.txt").read_text().count("  not evaluated  ") == 1
    weights = [(tmp_path / f"{every}/model/model.safetensors").read_bytes() for every in (1, 2)]
    assert weights[0] == weights[1] and result_of(tmp_path / "1")["dev"] == result_of(tmp_path / "2")["dev"]


def test_predictions_and_metrics_are_those_of_the_saved_model(workshop, fine_tuned):
    task = workshop.tasks["sst"]
    split = read_split(workshop.data, task, "dev")
    outputs = predict(load_model(fine_tuned / "model", [task]), task, split, 16)
    assert measure(task, split, outputs) == result_of(fine_tuned)["dev"]["sst"]
    rows = list(csv.DictReader(open(fine_tuned / "dev_predictions.tsv"), delimiter="\t"))
    assert [row["prediction"] for row in rows] == [task.labels[choice] for choice in task.kind.decide(outputs)]
    assert [float(row["p(1)"]) for row in rows] == pytest.approx(
        torch.from_numpy(outputs).softmax(1)[:, 1].tolist(), abs=1e-4
    )


def test_what_is_finished_is_not_done_again_and_other_options_are_refused(workshop, fine_tuned, cli, refused):
    before = {path: path.stat().st_mtime_ns for path in fine_tuned.iterdir() if path.name != "masks"}
    again = (
        "train.py",
        *options(workshop),
        "--do_train",
        "--do_mask",
        "--output_dir",
        fine_tuned,
        "--sparsities",
        "0.2",
        "0.5",
        "0.75:0.34",
    )
    assert "before" in cli(*again).out
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "made with learning_rate 0.005, now 0.001" in refused(*again, "--learning_rate", 1e-3)
    assert "--criterion lucky: no such criterion, expected one of example" in refused(*again, "--criterion", "lucky")


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"metrics": ["accuracy", "f1"]}, "metrics {'sst': ['accuracy']}, now {'sst': ['accuracy', 'f1']}"),
        ({"head_dropout": 0.3}, "head_dropout {'sst': 0.1}, now {'sst': 0.3}"),
    ],
)
def test_a_finished_run_is_refused_where_the_task_is_another_now(
    workshop, fine_tuned, tmp_path, refused, change, complaint
):
    entries = yaml.safe_load(Path(TASK_DEF).read_text())
    entries["sst"] |= change
    (task_def := tmp_path / "tasks.yml").write_text(yaml.safe_dump(entries))
    again = ("train.py", *options(workshop), "--do_train", "--output_dir", fine_tuned, "--task_def", task_def)
    assert complaint in refused(*again)


def test_held_out_rows_are_evaluated_and_neither_trained_on_nor_scored_with(workshop, tmp_path, cli, monkeypatch):
    trained = []
    whole = TokenizedSplit.batch
    monkeypatch.setattr(
        TokenizedSplit,
        "batch",
        lambda self, rows, *more: (
            torch.is_grad_enabled() and trained.append((self.folder.name, *self.starts[rows].tolist())),
            whole(self, rows, *more),
        )[1],
    )
    for seed in (1, 2):
        ended = cli(
            "train.py",
            *options(workshop, "rte", "--epochs", 1),
            "--do_train",
            "--do_mask",  # its batches are recorded, too
            "--sparsities",
            0.5,
            "--holdout",
            0.25,
            "--train_fraction",
            0.5,
            "--seed",
            seed,
            "--output_dir",
            tmp_path / str(seed),
        )
        assert ended.status == 0, ended.err
    _, out = split_rows(240, 0.25)
    held_out = read_split(workshop.data, workshop.tasks["rte"], "train").part(out)
    starts = {start for _, *starts in trained for start in starts}  # of rows, in the file of tokens
    assert {folder for folder, *_ in trained} == {"rte_train"}
    assert len(starts) > 90 and not starts & set(held_out.starts.tolist())
    result = result_of(tmp_path / "2")
    assert result["tasks"]["rte"]["training_rows"] == 90 and result["tasks"]["rte"]["held_out_rows"] == 60
    assert json.loads((tmp_path / "2/importance.json").read_text())["rows"] == 90
    model = load_model(tmp_path / "2/model", [workshop.tasks["rte"]])
    assert (
        measure(
            workshop.tasks["rte"],
            held_out,
            predict(model, workshop.tasks["rte"], held_out, 7),
        )
        == result["held_out"]["rte"]
    )


@pytest.mark.parametrize("task, metric", [("rte", "accuracy"), ("stsb", "pearson"), ("mnli", "accuracy")])
def test_pairs_regression_and_two_dev_sets(workshop, tmp_path, cli, task, metric):
    ended = cli("train.py", *options(workshop, task, "--epochs", 1), "--do_train", "--output_dir", tmp_path)
    assert ended.status == 0, ended.err
    dev = result_of(tmp_path)["dev"]
    assert set(dev) == set(workshop.tasks[task].dev_sets)
    kind = workshop.tasks[task].kind
    for name, values in dev.items():
        path = RunFolder(tmp_path).predictions(name if len(dev) > 1 else None)
        read = read_predictions(path, kind)
        gold, predicted = (
            np.array([kind.parse(field, read.labels) for field in fields]) for fields in (read.gold, read.predicted)
        )
        assert kind.measure([metric], gold, predicted)[metric] == pytest.approx(values[metric], abs=0.01)  # four digits


def test_bad_calls_are_one_line(workshop, tmp_path, refused):
    train = ("train.py", "--do_train", "--output_dir", tmp_path / "out")
    assert "nothing to do" in refused("train.py", "--output_dir", tmp_path, *options(workshop))
    assert "no task 'rtee', expected one of: cola" in refused(*train, *options(workshop, "rtee"))
    assert "--epochs: '0', expected a whole number from 1" in refused(*train, *options(workshop), "--epochs", 0)
    assert "--learning_rate: '-1'" in refused(*train, *options(workshop), "--learning_rate=-1")
    assert "--train_datasets" in refused(*train)
    assert "no dev set 'mnli' of mnli" in refused(*train, *options(workshop, "mnli", "--test_datasets", "mnli"))
    assert "qnli_train: no such tokenized split" in refused(*train, *options(workshop, "qnli"))
    assert "unrecognized arguments: --epoch" in refused(*train, *options(workshop), "--epoch", 3)
    why = "Torch not compiled with CUDA enabled|NVIDIA driver|no CUDA|No CUDA"
    line = refused(*train, *options(workshop), "--device", "cuda")
    assert re.search(rf"--device cuda: .*({why}).*; expected a GPU that torch can use", line)
    assert "--sparsities: '1.5'" in refused(*train, *options(workshop), "--sparsities", "0.5", "1.5")
    assert "--train_datasets: ','" in refused(*train, *options(workshop, ","))
    assert "--seed: '99999999999999999999'" in refused(*train, *options(workshop), "--seed", 99999999999999999999)
    assert "--learning_rate: 'inf'" in refused(*train, *options(workshop), "--learning_rate", "inf")
    assert not (tmp_path / "out").exists()
