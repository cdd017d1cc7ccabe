"""The comparison of an evaluation in float32 with one in bfloat16."""

import json

import pytest
import toy_tasks

from data_utils.tokenized import read_split
from mt_dnn.model_files import load_model
from mt_dnn.training.evaluate import measure, predict


def compare(cli, workshop, run):
    data = ("--task_def", toy_tasks.TASK_DEF, "--data_dir", workshop.data, "--device", "cpu")
    return cli("experiments/precision/compare.py", run, "--task", "stsb", *data)


def test_the_score_in_float32_is_that_of_the_run_and_the_difference_that_of_bfloat16(workshop, runs, cli):
    run, task = runs["stsb"], workshop.tasks["stsb"]
    result = json.loads((run / "result.json").read_text())["dev"]["stsb"]
    split = read_split(workshop.data, task, "dev")
    rounded = measure(task, split, predict(load_model(run / "model", [task]), task, split, 64, "bfloat16"))
    assert rounded["pearson"] != result["pearson"]  # a metric that moves
    ended = compare(cli, workshop, run)
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()[2:]
    for line, metric in zip(lines, task.metrics, strict=True):
        _, _, dev_set, name, score, moved, _ = line.split("|")
        assert (dev_set.strip(), name.strip()) == ("stsb", metric)
        assert score.strip() == f"{100 * result[metric]:.2f}"
        assert float(moved) == pytest.approx(100 * (rounded[metric] - result[metric]), abs=0.011)


def test_a_run_without_its_model_is_one_line(workshop, tmp_path, refused):
    (tmp_path / "result.json").write_text("{}")
    line = refused(
        "experiments/precision/compare.py", tmp_path, "--task", "sst", "--task_def", toy_tasks.TASK_DEF,
        "--data_dir", workshop.data,
    )  # fmt: skip
    assert "a run without a model" in line
