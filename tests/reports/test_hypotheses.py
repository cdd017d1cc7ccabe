"""The hypotheses: what is compared, on which seeds and sizes, and what is concluded."""

import re
import shutil

import numpy as np
import pytest
from fake_runs import MULTI_TASK, REPORT, transitions_of, write_line, write_run, write_shared_run
from scipy import stats

from mt_dnn.reports.comparison import holm
from mt_dnn.reports.hypotheses import CLAIMS, decide
from mt_dnn.reports.pairing import complete
from mt_dnn.reports.sentences import hypothesis_line

SEEDS = (1, 2, 3, 4, 5)


def found(*folders):
    return {finding.claim.name: finding for finding in decide(CLAIMS, transitions_of(*folders))}


def line_of(name, *folders):
    return hypothesis_line(found(*folders)[name])


def test_a_seed_does_not_choose_its_own_ticket(tmp_path):
    # By its own held-out rows every seed would choose its lucky run of 0.9.
    held_out = {(2, 0): [0.9, 0.6, 0.6], (4, 1): [0.6, 0.9, 0.61]}
    write_line(tmp_path, "winning", {(2, 0): [0.9, 0.71, 0.72], (4, 1): [0.61, 0.9, 0.62]}, held_out)
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.7, 0.7]}, {(0, 0): [0.7, 0.7, 0.7]})
    finding = found(tmp_path)["H1"]
    # Means of the other seeds: without 1, 0.6 to 0.755; without 2, 0.75 to 0.605; without 3, 0.75 each: the sparser.
    assert finding.by_task["rte"].difference == pytest.approx(np.mean([61 - 70, 71 - 70, 62 - 70]))
    assert finding.tickets["rte"] == "chosen: 4 + 1 for 2 of 3 seeds, 2 + 0 for 1 of 3 seeds"


def test_kinds_are_compared_at_equal_sizes_and_over_tasks(tmp_path):
    rng = np.random.default_rng(0)
    scores = {
        (task, kind, level): rng.uniform(0.5, 0.8, len(SEEDS)) + (kind == "winning") * 0.1
        for task in ("rte", "sst")
        for kind in ("winning", "random")
        for level in ((2, 0), (4, 1))
    }
    for (task, kind, level), values in scores.items():
        write_line(tmp_path, kind, {level: values.tolist()}, task=task)
    for task in ("rte", "sst"):
        write_line(tmp_path, "winning", {(6, 2): [0.1] * 5}, task=task)  # no random ticket of that size
        write_line(tmp_path, "dense", {(0, 0): [0.7] * 5}, task=task)
    gains = {
        task: 100
        * np.mean(
            [scores[task, "winning", level] - scores[task, "random", level] for level in ((2, 0), (4, 1))], axis=0
        )
        for task in ("rte", "sst")
    }
    finding = found(tmp_path)["H2"]
    p_values = [stats.ttest_1samp(gains[task], 0).pvalue for task in gains]
    for task, corrected in zip(gains, holm(p_values)):
        assert finding.by_task[task].difference == pytest.approx(gains[task].mean())
        assert finding.by_task[task].p_holm == pytest.approx(corrected)
    overall = (gains["rte"] + gains["sst"]) / 2
    assert finding.overall.difference == pytest.approx(overall.mean())
    assert finding.overall.p == pytest.approx(stats.ttest_1samp(overall, 0).pvalue)
    assert finding.without["rte"].difference == finding.by_task["sst"].difference
    assert finding.overall.p_holm == pytest.approx(finding.overall.p)  # H1 and H3 have no test here
    assert found(tmp_path)["H3"].left_out["rte"] == "no random and losing tickets that share size and seed"


@pytest.mark.parametrize(
    "losing, verdict",
    [
        ([0.5, 0.52, 0.51, 0.5, 0.49], "confirmed"),
        ([0.9, 0.92, 0.91, 0.9, 0.89], "refuted"),
        ([0.7, 0.6, 0.8, 0.72, 0.69], "not distinguishable from noise"),
    ],
)
def test_verdicts(tmp_path, losing, verdict):
    write_line(tmp_path, "random", {(2, 0): [0.7, 0.71, 0.72, 0.7, 0.73]})
    write_line(tmp_path, "losing", {(2, 0): losing})
    finding = found(tmp_path)["H3"]
    assert finding.overall.verdict == verdict
    assert hypothesis_line(finding).startswith(
        f"H3, random tickets are above losing ones of equal size: {verdict} ({finding.overall.difference:+.1f} ["
    )


def test_differences_on_held_out_rows_are_shown_and_decide_nothing(tmp_path, cli):
    size, seen, unseen = (2, 0), [0.70, 0.71, 0.72], [0.60, 0.65, 0.61]
    kinds = {"winning": ([0.75, 0.77, 0.77], [0.60, 0.62, 0.63]), "random": (seen, unseen), "dense": (seen, unseen)}
    for task in ("cola", "rte", "sst"):
        for kind, (dev, held_out) in kinds.items():
            at = (0, 0) if kind == "dense" else size
            write_line(tmp_path, kind, {at: dev}, {at: held_out}, task=task)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    findings = found(tmp_path)
    difference = 100 * (np.array(kinds["winning"][1]) - unseen)
    low, high = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    second = f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]"
    assert findings["H2"].overall.verdict == "confirmed"
    assert f"; on held-out training rows {second})" in hypothesis_line(findings["H2"])
    assert findings["H1"].held_out is None  # these rows chose its tickets
    page = (tmp_path / "report.md").read_text()
    lines = [line for line in page.splitlines() if line.startswith(("| H2 | rte |", "| 9")) and second in line]
    assert len(lines) == 2  # the hypothesis, and the size over all tasks

    shutil.copytree(tmp_path / "cola", tmp_path / "fewer/cola")
    write_run(tmp_path / "fewer", "random", size, 3, seen[2], task="cola")  # it holds nothing out
    assert re.search(r"; on held-out training rows \S+ \[.*\], 2 of the seeds\)", line_of("H2", tmp_path / "fewer"))
    write_run(tmp_path / "fewer", "random", size, 2, seen[2], task="cola")
    write_run(tmp_path / "fewer", "winning", size, 1, seen[2], task="cola")
    assert "held-out" not in line_of("H2", tmp_path / "fewer")  # no seed has both
    shutil.rmtree(tmp_path / "fewer")

    for kind in ("winning", "random"):  # a size whose runs hold nothing out: dev has two sizes, held-out rows one
        write_line(tmp_path, kind, {(4, 1): seen}, task="sst")
    assert found(tmp_path)["H2"].held_out is None
    shutil.rmtree(tmp_path / "sst/winning/heads_4_ffns_1")
    write_line(tmp_path, "dense", {(0, 0): seen}, task="mrpc")  # it takes no part, as it has no tickets
    assert found(tmp_path)["H2"].held_out
    shutil.rmtree(tmp_path / "mrpc")
    write_line(tmp_path, "random", {size: seen}, task="sst")  # one task without held-out rows
    assert found(tmp_path)["H2"].held_out is None
    write_line(tmp_path, "dense", {(0, 0): seen}, task="sst")
    assert cli(REPORT, tmp_path).status == 0
    assert "held-out rows [95 %]" not in (tmp_path / "report.md").read_text()


def test_p_values_are_corrected_for_the_hypotheses(tmp_path):
    for kind, shift in (("winning", 0.02), ("random", 0.0), ("losing", -0.03)):
        write_line(tmp_path, kind, {(2, 0): [0.7 + shift, 0.72 + shift / 2, 0.69, 0.71 + shift]})
    findings = found(tmp_path)
    assert [findings[name].overall.p_holm for name in ("H2", "H3")] == pytest.approx(
        holm([findings[name].overall.p for name in ("H2", "H3")])
    )


def test_one_seed_is_no_test(tmp_path, cli):
    held_out = {(0, 0): [0.7], (2, 0): [0.7]}
    write_line(tmp_path, "dense", {(0, 0): [0.7]}, held_out)
    write_line(tmp_path, "winning", {(2, 0): [0.75]}, held_out)
    ended = cli(REPORT, tmp_path)
    assert "above the dense model: not tested (+5.0, no test: 1 shared seed)" in ended.out
    assert "random ones of equal size: not tested (rte: no winning and random tickets that share size" in ended.out


@pytest.mark.parametrize(
    "available, seeds, items",
    [
        ({1: [*"abcd"], 2: [*"abcd"], 3: [*"abcd"], 4: ["a"]}, [1, 2, 3], [*"abcd"]),  # seed 4 has just begun
        ({1: ["a", "b"], 2: ["a", "b"], 3: ["a"]}, [1, 2, 3], ["a"]),  # 2 x 1 and 1 x 2: more seeds
        ({1: ["a", "b", "c"], 2: ["a"], 3: ["a"], 4: ["a"]}, [1, 2, 3, 4], ["a"]),  # later seeds leave sizes out
        ({1: ["a", "b", "c"], 2: ["a", "b", "d"], 3: ["a", "b", "e"]}, [1, 2, 3], ["a", "b"]),  # each misses others
        ({1: ["a", "b"], 2: ["a"]}, [1, 2], ["a"]),  # no test without a second seed
        ({1: [*"abcdefgh"], 2: ["a", "b"], 3: ["a", "b"]}, [1, 2, 3], ["a", "b"]),
        ({1: [*"abcdefgh"], 2: [*"abcdefgh"], 3: [*"abc"], 4: [*"abc"], 5: [*"abc"]}, [1, 2, 3, 4, 5], [*"abc"]),
        ({1: [*"abc"], 2: [*"abc"], 3: [*"abc"], 4: ["a"], 5: ["a"]}, [1, 2, 3], [*"abc"]),  # 2 x 3 and 4 x 1
        ({1: []}, [], []),
        ({}, [], []),
    ],
)
def test_if_runs_are_missing_the_most_seeds_less_one_times_sizes_are_kept(available, seeds, items):
    assert complete(available) == (seeds, items)


def test_a_ticket_that_closes_nothing_counts_as_the_dense_model(tmp_path):
    scores = {"dense": [0.7, 0.72, 0.69], "winning": [0.8, 0.83, 0.8], "random": [0.6, 0.61, 0.63]}
    for kind, values in scores.items():
        write_line(tmp_path / "without", kind, {(0, 0) if kind == "dense" else (2, 0): values})
        write_line(tmp_path / "with", kind, {(0, 0) if kind == "dense" else (2, 0): values})
    write_line(tmp_path / "with", "random", {(0, 0): scores["dense"]})
    write_line(tmp_path / "with", "winning", {(0, 0): scores["dense"]}, criterion="loss")
    write_line(tmp_path / "with", "winning", {(0, 0): scores["dense"]}, owner="sst")
    with_them, without = found(tmp_path / "with"), found(tmp_path / "without")
    assert with_them["H2"].overall == without["H2"].overall and with_them["H2"].tickets == without["H2"].tickets


@pytest.mark.parametrize(
    "option, one, other, line",
    [
        ("precision", "float32", "bfloat16", "in several precisions (bfloat16: 1, float32: 1)"),
        ("code", "62ae6251bd29", None, "by several versions of the code (62ae6251bd29: 1, unknown: 1)"),
    ],
)
def test_pages_say_if_their_runs_had_several_precisions_or_versions_of_the_code(
    tmp_path, cli, option, one, other, line
):
    for second in (one, other):
        for kind, size, seen in (("dense", (0, 0), one), ("winning", (2, 1), second)):
            write_line(tmp_path / "single", kind, {size: [0.7]}, **{option: seen})
            write_shared_run(tmp_path / "shared", kind, 1, {"rte": 0.7, "sst": 0.7}, **{option: seen})
        for report, page in ((REPORT, "single/report.md"), (MULTI_TASK, "shared/multi_task.md")):
            assert cli(report, (tmp_path / page).parent).status == 0
            text = (tmp_path / page).read_text()
            assert (f"Runs were computed {line}, so" in text) == ("Runs were computed" in text) == (second == other)


def test_over_all_tasks_a_seed_counts_only_where_every_task_has_it(tmp_path):
    gains = {"rte": [0.02, 0.03, 0.05, 0.40], "sst": [0.01, 0.04, 0.02]}  # seed 4 of sst is missing
    for task, gain in gains.items():
        write_line(tmp_path, "random", {(2, 0): [0.5] * len(gain)}, task=task)
        write_line(tmp_path, "winning", {(2, 0): [0.5 + each for each in gain]}, task=task)
    finding, both = found(tmp_path)["H2"], 50 * (np.array(gains["rte"][:3]) + gains["sst"])
    assert [finding.by_task[task].seeds for task in gains] == [4, 3] and finding.overall.seeds == 3
    assert finding.overall.difference == pytest.approx(both.mean())
    assert finding.overall.p == pytest.approx(stats.ttest_1samp(both, 0).pvalue)
