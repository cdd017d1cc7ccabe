"""The comparison of an evaluation in float32 with one in bfloat16."""

import json

import toy_tasks


def compare(cli, workshop, run):
    data = ("--task_def", toy_tasks.TASK_DEF, "--data_dir", workshop.data, "--device", "cpu")
    return cli("experiments/precision/compare.py", run, "--task", "sst", *data)


def test_the_score_in_float32_is_that_of_the_run(workshop, fine_tuned, cli):
    ended = compare(cli, workshop, fine_tuned)
    assert ended.status == 0, ended.err
    (line,) = ended.out.splitlines()[2:]
    _, run, dev_set, metric, score, moved, _ = line.split("|")
    result = json.loads((fine_tuned / "result.json").read_text())
    assert (dev_set.strip(), metric.strip()) == ("sst", "accuracy")
    assert score.strip() == f"{100 * result['dev']['sst']['accuracy']:.2f}"
    assert -100 <= float(moved) <= 100


def test_a_run_without_its_model_is_one_line(workshop, tmp_path, refused):
    (tmp_path / "result.json").write_text("{}")
    line = refused(
        "experiments/precision/compare.py", tmp_path, "--task", "sst", "--task_def", toy_tasks.TASK_DEF,
        "--data_dir", workshop.data,
    )  # fmt: skip
    assert "a run without its model" in line
