"""What the most frequent label, or the mean, gives; and what the report says where the dense model is not better."""

import math

import numpy as np
import pytest
from fake_runs import REPORT, transitions_of, write_dev_predictions, write_line, write_run, write_whole_text
from sklearn.metrics import f1_score

from data_utils.task_kinds import TASK_KINDS
from mt_dnn.records.predictions import read_predictions
from mt_dnn.reports.baseline import Baseline, sampling_error
from mt_dnn.tickets.super_tickets import read_super_tickets


@pytest.mark.parametrize("positive, f1", [(130, 2 * 130 / (200 + 130)), (60, 0.0)])
def test_the_most_frequent_label(tmp_path, positive, f1):
    write_dev_predictions(tmp_path / "dev.tsv", positive)
    metrics = ["accuracy", "f1", "matthews"]
    baseline = read_predictions(tmp_path / "dev.tsv", TASK_KINDS["classification"]).baseline(metrics)
    assert baseline == {"accuracy": max(positive, 200 - positive) / 200, "f1": pytest.approx(f1), "matthews": 0.0}


def test_the_mean_has_no_correlation(tmp_path):
    write_whole_text(tmp_path / "dev.tsv", "row\tlabel\tprediction\n0\t1.5\t2.0\n1\t3\t2.5\n2\t2\t2.1\n")
    read = read_predictions(tmp_path / "dev.tsv", TASK_KINDS["regression"])
    assert read.baseline(["pearson", "spearman"]) == {"pearson": 0.0, "spearman": 0.0}
    assert (read.gold, read.predicted) == (["1.5", "3", "2"], ["2.0", "2.5", "2.1"])


@pytest.mark.parametrize("share, f1", [(0.684, 2 * 0.684 / 1.684), (0.9, 1.8 / 1.9)])
def test_sampling_errors_are_those_of_drawn_rows(share, f1):
    rng, rows = np.random.default_rng(0), 400
    drawn = rng.random((4000, rows)) < share
    accuracy = drawn.mean(1)
    assert sampling_error("accuracy", share, rows) == pytest.approx(accuracy.std(), rel=0.05)
    assert sampling_error("f1", f1, rows) == pytest.approx((2 * accuracy / (1 + accuracy)).std(), rel=0.05)
    one = f1_score(drawn[0], np.ones(rows))
    assert one == pytest.approx(2 * accuracy[0] / (1 + accuracy[0]))
    pairs = rng.normal(size=(2, 2000, rows))
    correlations = [np.corrcoef(*pair)[0, 1] for pair in zip(*pairs)]
    assert sampling_error("pearson", 0.0, rows) == pytest.approx(np.std(correlations), rel=0.05)


@pytest.mark.parametrize(
    "accuracy, f1, better",
    [(72, 82, True), (69, 81, False), (72, 78, False), (60, 60, False)],
)
def test_better_is_above_in_one_metric_and_below_in_none(accuracy, f1, better):
    keys = ("mrpc", "accuracy"), ("mrpc", "f1")
    baseline = Baseline(dict(zip(keys, (68.4, 81.2))), dict(zip(keys, (2.3, 1.6))), 74.8)
    assert baseline.is_beaten_by(dict(zip(keys, (accuracy, f1)))) == better


@pytest.mark.parametrize("accuracy, better", [(51, False), (54, True)])
def test_an_f1_above_0_is_not_enough(accuracy, better):
    """The most frequent label is the negative one, so the baseline's F1 is 0, without a sampling error."""
    keys = ("movie", "accuracy"), ("movie", "f1")
    baseline = Baseline(dict(zip(keys, (52.0, 0.0))), dict(zip(keys, (1.1, 0.0))), 26.0)
    assert baseline.is_beaten_by(dict(zip(keys, (accuracy, 1.0)))) == better
    alone = Baseline({keys[1]: 0.0}, {keys[1]: 0.0}, 0.0)
    assert alone.is_beaten_by({keys[1]: 1.0})


def test_a_task_that_is_not_learnt_has_no_boundary_and_no_super_ticket(tmp_path, cli, refused):
    held_out = {(0, 0): [0.6, 0.6], (2, 0): [0.8, 0.7], (4, 1): [0.5, 0.5]}
    for task, dense in (("rte", [0.56, 0.57]), ("sst", [0.8, 0.82])):  # 110 of 200 rows are positive: 55.0 +- 3.5
        write_line(tmp_path, "dense", {(0, 0): dense}, held_out, task=task, positive=110)
        winning = {(2, 0): [0.6, 0.75], (4, 1): [0.4, 0.4]}
        write_line(tmp_path, "winning", winning, held_out, task=task, positive=110)
        write_line(tmp_path, "random", {(2, 0): [0.5, 0.55]}, task=task)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    rte, sst = ended.out.split("sst (accuracy")
    error = 100 * math.sqrt(0.55 * 0.45 / 200)
    assert "accuracy 55.0; the dense model is not better by more than the baseline's sampling error" in rte
    assert f"(accuracy {error:.1f})" in rte
    assert "phase boundary: " not in rte and "super ticket chosen" not in rte
    assert "accuracy 55.0; the dense model is better" in sst and "super ticket chosen" in sst
    for name in ("super_tickets.yml", "super_tickets_held_out.yml"):
        assert read_super_tickets([tmp_path / name])["rte"] is None
        assert isinstance(read_super_tickets([tmp_path / name])["sst"], tuple)
    (rte, sst), page = transitions_of(tmp_path), (tmp_path / "report.md").read_text()
    assert not rte.has_learnt and sst.has_learnt
    assert "- H2, rte: the dense model is not better than the baseline" in page
    assert "| rte | accuracy | 55.0 | 56.5 ± 0.7 | 67.5 ± 10.6 |  |  |  |  |  |" in page

    assert rte.not_learnt(rte.dense) == [1, 2] and sst.not_learnt(sst.dense) == []
    assert [rte.not_learnt(point) for point in rte.of_kind("winning")] == [[], [1, 2]]
    of_sst = page.split("## sst")[1]
    assert "| runs not above the baseline |" in of_sst and "| winning | 4 | 1 |" in of_sst

    (tmp_path / "only_rte.yml").write_text("rte: null\n")
    assert "no super ticket for rte (see the report)" in refused(
        "construct_mtl_mask.py", "--super_tickets", tmp_path / "only_rte.yml", "--checkpoints", tmp_path
    )


def test_merging_super_tickets_says_what_is_missing(fine_tuned, tmp_path, cli):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/sst").symlink_to(fine_tuned)
    (tmp_path / "super_tickets.yml").write_text("rte: null\nsst: {heads: 2, ffns: 0}\n")
    ended = cli(
        "construct_mtl_mask.py",
        *("--super_tickets", tmp_path / "super_tickets.yml", "--checkpoints", tmp_path / "masks"),
        *("--output", tmp_path / "merged.json"),
    )
    assert ended.status == 0, ended.err
    assert "left out, without a super ticket (see the report): rte; take it out" in ended.out


def test_runs_without_predictions_have_no_baseline_and_are_believed(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.1]})
    write_run(tmp_path, "winning", (2, 0), 1, 0.2)
    ended = cli(REPORT, tmp_path)
    assert "super ticket chosen on dev" in ended.out, ended.err
    assert "baseline: unknown, as no run has its dev predictions any more" in ended.out


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("row\tlabel\n", ":1: not the dev predictions of a run"),
        ("row\tlabel\tprediction\n0\t1.5\tnan\n", ":2: '0\\t1.5\\tnan': unknown label"),
        ("row\tlabel\tprediction\tp(a)\tp(b)\n0\ta\tc\t0.5\t0.5\n", "unknown label, expected one of: a, b"),
        ("row\tlabel\tprediction\tp(a)\tp(b)\n0\ta\tb\n", ":2: 3 columns, expected 5"),
    ],
)
def test_broken_predictions_are_one_line(tmp_path, refused, text, complaint):
    folder = write_run(tmp_path, "dense", (0, 0), 1, 0.7)
    (folder / "dev_predictions.tsv").write_text(text)
    assert complaint in refused(REPORT, tmp_path)
