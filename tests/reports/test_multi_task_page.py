"""The multi-task page: which runs are a row, and what tickets sharing is compared with."""

import numpy as np
import pytest
from fake_runs import MULTI_TASK, REPORT, write_run, write_shared_run
from scipy import stats

from mt_dnn.records.record import read_records
from mt_dnn.reports.comparison import holm
from mt_dnn.reports.multi_task_contents import compare_rows
from mt_dnn.reports.rows import gather_rows

SEEDS = (1, 2, 3, 4, 5)


def test_tickets_sharing_is_tested_against_mt_dnn_and_the_control(tmp_path, cli):
    rng = np.random.default_rng(1)
    gains = {"dense": 0.0, "winning": 0.05, "random": -0.02}
    dev = {
        (kind, seed): {task: rng.uniform(0.6, 0.7) + gain for task in ("rte", "sst")}
        for kind, gain in gains.items()
        for seed in SEEDS
    }
    for (kind, seed), values in dev.items():
        write_shared_run(tmp_path, kind, seed, values, shift=seed)  # each seed with tickets of its own
    ended = cli(MULTI_TASK, tmp_path)
    assert ended.status == 0, ended.err
    average = {kind: np.array([100 * np.mean(list(dev[kind, seed].values())) for seed in SEEDS]) for kind in gains}
    tests = {kind: stats.ttest_rel(average[kind], average["dense"]) for kind in ("winning", "random")}
    p_values = dict(zip(tests, holm([test.pvalue for test in tests.values()])))
    interval = tests["winning"].confidence_interval(0.95)
    difference = np.mean(average["winning"] - average["dense"])
    p = "< 0.001" if p_values["winning"] < 0.001 else f"{p_values['winning']:.3f}"
    page = (tmp_path / "multi_task.md").read_text()
    assert f"Avg Score | {np.mean(average['winning']):.1f} ± {np.std(average['winning'], ddof=1):.1f}" in page
    assert f"| {difference:+.1f} [{interval.low:+.1f}, {interval.high:+.1f}] | {p} | 5 |" in page
    assert "H4, tickets sharing is above MT-DNN: " in ended.out
    assert "control: Tickets-Share, " in ended.out
    assert "| Most frequent label, or mean | 55.0 | 55.0 | 55.0 |  |  |" in page


def test_tickets_sharing_is_shown_without_each_task_and_on_held_out_rows(tmp_path, cli):
    gains = {
        "dense": ([0.60, 0.61, 0.62], [0.70, 0.71, 0.72]),
        "winning": ([0.70, 0.72, 0.74], [0.69, 0.69, 0.72]),
    }
    for kind, (dev, held_out) in gains.items():
        for seed, (score, second) in enumerate(zip(dev, held_out)):
            more = kind == "winning"
            other = {"rte": second, "sst": second + 0.02 * more}
            write_shared_run(tmp_path, kind, seed, {"rte": score, "sst": score + 0.01 * more}, held_out=other)
    ended = cli(MULTI_TASK, tmp_path)
    assert ended.status == 0, ended.err
    page = (tmp_path / "multi_task.md").read_text()
    interval = stats.ttest_rel([70.0, 70.0, 73.0], [70.0, 71.0, 72.0]).confidence_interval(0.95)
    assert f"; on held-out training rows +0.0 [{interval.low:+.1f}, {interval.high:+.1f}])" in page
    assert "H4, tickets sharing is above MT-DNN: confirmed" in ended.out
    for task, without, held_out in (("rte", "+12.0 [+9.5, +14.5]", "-1.0"), ("sst", "+11.0 [+8.5, +13.5]", "+1.0")):
        of_task = f"| Tickets-Share, tiny | MT-DNN, tiny | {task} |"
        (line,) = [line for line in page.splitlines() if line.startswith(of_task)]
        assert f"| 3 | {without} | {held_out} [" in line


@pytest.mark.parametrize("other", [{}, {"level": (6, 2)}, {"exact_sharing": True}])
def test_the_control_has_the_sizes_and_the_sharing_of_the_winning_tickets(tmp_path, cli, other):
    for kind in ("dense", "winning", "random"):
        for seed in SEEDS:
            more = other if kind == "random" else {}
            write_shared_run(tmp_path, kind, seed, {"rte": 0.6 + 0.01 * seed, "sst": 0.7}, **more)
    ended = cli(MULTI_TASK, tmp_path)
    assert ended.status == 0, ended.err
    assert ended.out.count("control: ") == (not other)


def test_two_encoders_have_rows_of_their_own_in_one_table(tmp_path, cli, refused):
    for encoder, score in (("base", 0.7), ("large", 0.8)):
        for kind in ("dense", "winning"):
            run = {"model": encoder, "encoder": f"bert-{encoder}", "encoder_weights": f"weights of {encoder}"}
            write_shared_run(tmp_path / encoder, kind, 1, {"rte": score, "sst": score}, **run)
    ended = cli(MULTI_TASK, tmp_path)
    assert ended.status == 0, ended.err
    page = (tmp_path / "multi_task.md").read_text()
    for encoder, score in (("base", 70), ("large", 80)):
        assert f"| MT-DNN, {encoder} | {score}.0 |" in page and f"| Tickets-Share, {encoder} | {score}.0 |" in page
    write_shared_run(tmp_path / "base", "dense", 2, {"rte": 0.7, "sst": 0.7}, **run | {"model": "base"})
    assert "encoder_weights 'weights of base' and 'weights of large'" in refused(MULTI_TASK, tmp_path)


@pytest.mark.parametrize("option, values", [("epochs", (3, 6)), ("holdout", (0.0, 0.1)), ("learning_rate", (1, 2))])
def test_runs_of_several_tasks_with_other_options_are_not_mixed(tmp_path, refused, option, values):
    for kind, value in zip(("dense", "winning"), values):
        write_shared_run(tmp_path, kind, 1, {"rte": 0.7, "sst": 0.7}, **{option: value})
    assert f"{option} {values[0]} and {values[1]}; expected the same" in refused(MULTI_TASK, tmp_path)


@pytest.mark.parametrize("with_it", ["dense", "winning"])
def test_runs_of_several_tasks_from_before_and_after_a_new_flag_are_not_mixed(tmp_path, refused, with_it):
    for kind in ("dense", "winning"):
        more = {"label_smoothing": 0.1} if kind == with_it else {}
        write_shared_run(tmp_path, kind, 1, {"rte": 0.7, "sst": 0.7}, **more)
    assert "label_smoothing" in refused(MULTI_TASK, tmp_path)


def test_rows_of_one_encoder_have_the_same_data(tmp_path, refused):
    for kind, fingerprint in (("dense", "0"), ("winning", "1")):
        write_shared_run(tmp_path, kind, 1, {"rte": 0.7, "sst": 0.7}, data={"rte_dev": fingerprint})
    assert "data {'rte_dev': '0'} and {'rte_dev': '1'}; expected the same" in refused(MULTI_TASK, tmp_path)


def test_options_that_differ_are_named_before_the_tickets_that_differ_by_them(tmp_path, refused):
    for place, rate, shift, level in (("a", 5e-5, 0, (2, 1)), ("b", 1e-4, 1, (3, 1))):
        write_shared_run(tmp_path / "shared" / place, "winning", 1, {"rte": 0.7, "sst": 0.7}, level, learning_rate=rate)
        write_run(tmp_path / "single" / place, "winning", (2, 0), 1, 0.7, shift=shift, learning_rate=rate)
    for report, folder in ((MULTI_TASK, "shared"), (REPORT, "single")):
        assert "learning_rate 5e-05 and 0.0001; expected the same" in refused(report, tmp_path / folder)


def test_weights_are_compared_also_if_those_of_the_first_run_are_not_known(tmp_path, refused):
    for seed, weights in ((1, None), (2, "a"), (3, "b")):
        write_shared_run(tmp_path / "shared", "dense", seed, {"rte": 0.7, "sst": 0.7}, encoder_weights=weights)
        write_run(tmp_path / "single", "dense", (0, 0), seed, 0.7, encoder_weights=weights)
    for report, folder in ((MULTI_TASK, "shared"), (REPORT, "single")):
        assert "encoder_weights 'a' and 'b'; expected the same" in refused(report, tmp_path / folder)


def test_runs_that_repeat_a_ticket_and_seed_with_other_scores_are_told(tmp_path, cli):
    for place, score in (("a", 0.7), ("b", 0.7), ("c", 0.6)):
        write_shared_run(tmp_path / "shared" / place, "dense", 1, {"rte": score, "sst": 0.7})
        write_run(tmp_path / "single" / place, "dense", (0, 0), 1, score)
    for report, page, name in (
        (MULTI_TASK, "shared/multi_task.md", "dense"),
        (REPORT, "single/report.md", "rte/dense"),
    ):
        assert cli(report, (tmp_path / page).parent).status == 0
        text, folder = (tmp_path / page).read_text(), page.partition("/")[0]
        assert "repeat a ticket and seed of another run with other scores, and are left out: 1, such as" in text
        assert f"{folder}/c/{name}" in text.partition("left out: 1, such as")[2].partition(" beside ")[0]


def test_tickets_of_other_sizes_are_no_row(tmp_path, refused):
    write_shared_run(tmp_path, "winning", 1, {"rte": 0.7, "sst": 0.7})
    write_shared_run(tmp_path, "winning", 2, {"rte": 0.7, "sst": 0.7}, level=(3, 1))
    assert "tickets of other sizes" in refused(MULTI_TASK, tmp_path)


def test_rows_of_one_encoder_are_corrected_together_and_so_are_its_controls_and_the_tasks_of_a_row(tmp_path):
    rng, gains = np.random.default_rng(2), {"dense": 0.0, "winning": 0.05, "random": 0.02, "losing": -0.03}
    for name in ("base", "large"):
        for kind, gain in gains.items():
            for seed in SEEDS:
                dev = {task: rng.uniform(0.6, 0.7) + gain for task in ("rte", "sst")}
                write_shared_run(tmp_path / name, kind, seed, dev, model=name, encoder=name, encoder_weights=name)
    compared = compare_rows(gather_rows(read_records([tmp_path])))
    families = [list(each.by_task.values()) for each in compared]
    for name in ("base", "large"):
        for with_mt_dnn in (True, False):
            of_row = [each for each in compared if each.row.encoder == name]
            families.append([each.overall for each in of_row if (each.reference.kind == "dense") == with_mt_dnn])
    assert [len(family) for family in families] == [2] * 10 + [3, 2, 3, 2]
    for family in families:
        assert [each.p_holm for each in family] == pytest.approx(holm([each.p for each in family]))
