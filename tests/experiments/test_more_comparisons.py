"""Comparisons of five_tasks that no report makes: models of one task and shared ones, transfer between groups."""

import shutil

import numpy as np
import pytest
from fake_runs import write_line, write_shared_run

SINGLE = "experiments/phase_transition/single_models.py"
BY_GROUP = "experiments/phase_transition/transfer_by_group.py"
FIVE_TASKS = "experiments/phase_transition/five_tasks"


def test_a_model_for_each_task_is_compared_with_shared_ones_over_tasks(tmp_path, cli, refused):
    data = {"rte_dev": "0", "sst_dev": "0"}
    dense = {"rte": [0.70, 0.74], "sst": [0.90, 0.92]}
    for task, scores in dense.items():
        write_line(
            tmp_path / "single", "dense", {(0, 0): scores}, {(0, 0): [0.5, 0.5]}, task=task, data={f"{task}_dev": "0"}
        )
    for seed in (1, 2):
        for kind, gain in (("dense", 0.0), ("winning", 0.05 * seed)):
            dev, held_out = {"rte": 0.7 + gain, "sst": 0.9}, {"rte": 0.6, "sst": 0.7}
            write_shared_run(tmp_path / "shared", kind, seed, dev, held_out=held_out, data=data)
    ended = cli(SINGLE, tmp_path / "single", tmp_path / "shared")
    assert ended.status == 0, ended.err
    assert "| dense, a model per task | 72.0 | 91.0 | 81.5 |" in ended.out
    assert "| MT-DNN, tiny minus a model per task | -1.5 [-20.6, +17.6] | +15.0 |" in ended.out
    assert "| Tickets-Share, tiny minus a model per task | +2.2 [" in ended.out  # (2.5 + 2) / 2: mean of 2.5 and 2
    write_shared_run(tmp_path / "other", "dense", 1, {"rte": 0.7, "cola": 0.3})
    assert "single: no dense model of cola" in refused(SINGLE, tmp_path / "single", tmp_path / "other")
    write_shared_run(tmp_path / "again", "dense", 1, {"rte": 0.7, "sst": 0.3}, data={**data, "sst_dev": "1"})
    assert "data {'sst_dev': '0'} and {'sst_dev': '1'}" in refused(SINGLE, tmp_path / "single", tmp_path / "again")
    assert "no run of several tasks" in refused(SINGLE, tmp_path / "single", tmp_path / "single")
    assert "a run of 2 tasks, expected runs of one" in refused(SINGLE, tmp_path / "shared", tmp_path / "shared")
    (tmp_path / "shared").rename(tmp_path / "single/mtdnn")
    assert cli(SINGLE, tmp_path / "single", tmp_path / "single").out == ended.out
    write_line(tmp_path / "single/few", "dense", {(0, 0): [0.6]}, train_fraction=0.1, data={"rte_dev": "0"})
    assert "several parts of a task's training rows" in refused(SINGLE, tmp_path / "single", tmp_path / "single")


def test_transfer_is_averaged_within_a_group_of_tasks_and_between_groups(tmp_path, cli, refused):
    rng, tasks = np.random.default_rng(0), ("cola", "mrpc", "stsb")
    scores = {(task, owner): rng.uniform(0.5, 0.9, 3) for task in tasks for owner in (*tasks, "random")}
    for (task, owner), values in scores.items():
        kind, more = ("random", {}) if owner == "random" else ("winning", {"owner": owner, "criterion": "example"})
        write_line(tmp_path, kind, {(2, 1): values.tolist()}, task=task, **more)
    ended = cli(BY_GROUP, tmp_path, "mrpc,stsb")
    assert ended.status == 0, ended.err
    rows = {tuple(line.split(" | ")[:2]): line.split(" | ")[2:] for line in ended.out.splitlines()[2:]}

    def mean(task_and_owner, reference=None):
        gains = [scores[task, owner] - scores[task, reference or task] for task, owner in task_and_owner]
        return f"{100 * np.mean(gains):+.1f} ["

    within = [("mrpc", "stsb"), ("stsb", "mrpc")]
    own, random = rows["| mrpc, stsb", "mrpc, stsb"]
    assert own.startswith(mean(within)) and random.startswith(mean(within, "random"))
    assert rows["| mrpc, stsb", "cola"][0].startswith(mean([("mrpc", "cola"), ("stsb", "cola")]))
    assert rows["| cola", "mrpc, stsb"][0].startswith(mean([("cola", "mrpc"), ("cola", "stsb")]))
    assert len(rows) == 3  # no other task gives cola its tickets within its group
    shutil.rmtree(tmp_path / "stsb/tickets_of_cola")
    ended = cli(BY_GROUP, tmp_path, "mrpc,stsb")
    assert "\n| mrpc | cola | " in ended.out and "| mrpc, stsb | cola" not in ended.out  # those that have all runs
    assert "no runs of rte, expected some of: cola, mrpc, stsb" in refused(BY_GROUP, tmp_path, "rte")


@pytest.mark.parametrize(
    "command, numbers",
    [
        (
            (SINGLE, f"{FIVE_TASKS}/runs", f"{FIVE_TASKS}/sharing_records"),
            [
                "77.5/84.7 | 19.9 | 84.4/84.4 | 86.9 | 68.1",
                "-2.3 [-3.4, -1.3]",
                "-0.3 [-1.0, +0.4]",
                "-1.7 [-2.8, -0.5]",
            ],
        ),
        (
            (BY_GROUP, f"{FIVE_TASKS}/runs", "mrpc,stsb"),
            ["[-36.4, -17.0]", "[-1.9, +1.3]", "[-5.1, -2.3]", "[-2.2, -0.3]", "+11.0 [-3.8, +25.8]"],
        ),
    ],
)
def test_the_numbers_of_the_readme_are_printed(cli, command, numbers):
    ended = cli(*command)
    assert ended.status == 0, ended.err
    page = " ".join(open(f"{FIVE_TASKS}/README.md").read().split())
    for number in numbers:
        assert number in ended.out and number in page
