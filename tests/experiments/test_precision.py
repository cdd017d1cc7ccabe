"""The comparison of an evaluation in float32 with one in bfloat16."""

import json

import pytest
import toy_tasks

from data_utils.tokenized import read_split
from mt_dnn.model_files import load_model
from mt_dnn.training.evaluate import measure, predict


def compare(cli, workshop, run):
    data = ("--task_def", toy_tasks.TASK_DEF, "--data_dir", workshop.data, "--device", "cpu")
    return cli("experiments/precision/compare.py", run, "--task", "sst", *data)


def test_the_score_in_float32_is_that_of_the_run_and_the_difference_that_of_bfloat16(workshop, fine_tuned, cli):
    ended = compare(cli, workshop, fine_tuned)
    assert ended.status == 0, ended.err
    (line,) = ended.out.splitlines()[2:]
    _, run, dev_set, metric, score, moved, _ = line.split("|")
    result = json.loads((fine_tuned / "result.json").read_text())
    assert (dev_set.strip(), metric.strip()) == ("sst", "accuracy")
    assert score.strip() == f"{100 * result['dev']['sst']['accuracy']:.2f}"
    task = workshop.tasks["sst"]
    split = read_split(workshop.data, task, "dev")
    rounded = measure(task, split, predict(load_model(fine_tuned / "model", [task]), task, split, 64, "bfloat16"))
    assert float(moved) == pytest.approx(100 * rounded["accuracy"] - float(score), abs=0.011)


def test_a_run_without_its_model_is_one_line(workshop, tmp_path, refused):
    (tmp_path / "result.json").write_text("{}")
    line = refused(
        "experiments/precision/compare.py", tmp_path, "--task", "sst", "--task_def", toy_tasks.TASK_DEF,
        "--data_dir", workshop.data,
    )  # fmt: skip
    assert "a run without a model" in line
