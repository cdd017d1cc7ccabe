"""The table of all tasks: winning minus dense at each size."""

import numpy as np
import pytest
from fake_runs import transitions_of, write_line
from scipy import stats

from mt_dnn.reports.all_tasks import all_tasks_section, winning_to_dense
from mt_dnn.reports.comparison import holm


def test_winning_minus_dense_is_averaged_over_the_tasks_that_have_learnt(tmp_path):
    rng = np.random.default_rng(0)
    dense = {task: rng.uniform(0.7, 0.8, 4) for task in ("rte", "sst")}
    winning = {(task, size): rng.uniform(0.6, 0.8, 4) for task in dense for size in ((2, 0), (4, 1))}
    for task, values in dense.items():
        write_line(tmp_path, "dense", {(0, 0): values.tolist()}, task=task)
        write_line(tmp_path, "random", {(2, 0): [0.1] * 4}, task=task)
    for (task, size), values in winning.items():
        write_line(tmp_path, "winning", {size: values.tolist()}, task=task)
    write_line(tmp_path, "winning", {(6, 2): [0.1] * 4}, task="sst")  # a size that the other task does not have
    write_line(tmp_path, "winning", {(2, 0): [0.1] * 4}, task="mrpc", positive=180)  # its dense model has not learnt
    write_line(tmp_path, "dense", {(0, 0): [0.9] * 4}, task="mrpc", positive=180)

    rows = winning_to_dense(transitions_of(tmp_path))
    assert [point.size for point, _ in rows] == [(2, 0), (4, 1)]
    gains = {
        size: 100 * np.mean([winning[task, size] - dense[task] for task in dense], axis=0) for size in ((2, 0), (4, 1))
    }
    tests = {size: stats.ttest_1samp(gain, 0) for size, gain in gains.items()}
    corrected = holm([test.pvalue for test in tests.values()])
    for (point, comparison), p in zip(rows, corrected):
        assert comparison.difference == pytest.approx(gains[point.size].mean())
        assert comparison.low == pytest.approx(tests[point.size].confidence_interval().low)
        assert comparison.p_holm == pytest.approx(p)


def test_a_task_without_winning_tickets_takes_no_part(tmp_path):
    for task in ("rte", "sst"):
        write_line(tmp_path, "winning", {(2, 0): [0.7, 0.8]}, task=task)
    for task in ("rte", "sst", "snli"):
        write_line(tmp_path, "dense", {(0, 0): [0.6, 0.8]}, task=task)
    ((point, comparison),) = winning_to_dense(transitions_of(tmp_path))
    assert point.size == (2, 0) and comparison.difference == pytest.approx(5)


def test_one_task_has_its_own_table_alone(tmp_path):
    for kind, size in (("dense", (0, 0)), ("winning", (2, 0))):
        write_line(tmp_path, kind, {size: [0.7, 0.8]})
    assert list(all_tasks_section(transitions_of(tmp_path))) == []


def test_tasks_of_several_encoders_have_no_table_together(tmp_path):
    for task in ("rte", "sst"):
        write_line(tmp_path, "dense", {(0, 0): [0.7, 0.8]}, task=task)
        write_line(tmp_path, "winning", {(2, 0): [0.6, 0.8]}, task=task)
    transitions = transitions_of(tmp_path)
    assert len(winning_to_dense(transitions)) == 1
    for run in transitions[1].dense.runs.values():
        run.result["model"]["name"] = "another"
    assert winning_to_dense(transitions) == []
