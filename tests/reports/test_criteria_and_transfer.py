"""Several criteria of importance for one task beside each other, and tasks trained under other tasks' tickets."""

import csv
import shutil

import numpy as np
import pytest
from fake_runs import COLLECT, MODEL, MULTI_TASK, REPORT, transitions_of, write_line, write_shared_run
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats

from mt_dnn.records.record import read_importance_files
from mt_dnn.reports.choice import DEV, boundary, super_ticket
from mt_dnn.reports.comparison import holm
from mt_dnn.reports.figures import LINES, OTHER_COLOURS, phase_transitions, styles
from mt_dnn.reports.importances import agreements, by_criterion
from mt_dnn.tickets.scores import write_importance

EXAMPLE = {(2, 0): [0.80, 0.82, 0.81, 0.83], (4, 1): [0.70, 0.75, 0.72, 0.71]}
LOSS = {(2, 0): [0.83, 0.84, 0.85, 0.84], (4, 1): [0.70, 0.71, 0.74, 0.70], (6, 1): [0.9, 0.9, 0.9, 0.9]}


def write_criteria(folder):
    write_line(folder, "dense", {(0, 0): [0.78, 0.79, 0.78, 0.80]})
    write_line(folder, "winning", EXAMPLE)
    write_line(folder, "winning", LOSS, criterion="loss", shift=1)
    write_line(folder, "losing", {(2, 0): [0.5, 0.52, 0.51, 0.5]}, criterion="loss", shift=2)
    write_line(folder, "random", {(2, 0): [0.6, 0.62, 0.61, 0.6]}, shift=3)


def test_criteria_lie_beside_each_other_and_the_default_is_the_main_one(tmp_path, cli):
    write_criteria(tmp_path)
    (transition,) = transitions_of(tmp_path)
    assert list(transition.lines) == ["dense", "winning", "random", "winning by loss", "losing by loss"]
    assert transition.criteria == ["example", "loss"]
    assert [point.size for point in transition.of_kind("winning")] == list(EXAMPLE)
    assert [point.size for point in transition.of_kind("winning", "loss")] == list(LOSS)
    assert super_ticket(transition, DEV).criterion == "example" and boundary(transition)[0].size == (2, 0)
    for names in (["winning"], ["random"], ["winning by loss", "losing by loss"]):  # each is a family
        own = [transition.to_dense[point] for name in names for point in transition.lines[name]]
        assert [comparison.p_holm for comparison in own] == pytest.approx(holm([comparison.p for comparison in own]))
    assert cli(REPORT, tmp_path).status == 0
    lines = list(csv.DictReader(open(tmp_path / "report.csv")))
    assert {(line["ticket"], line["criterion"]) for line in lines} == {
        ("dense", ""),
        ("winning", "example"),
        ("winning", "loss"),
        ("losing", "loss"),
        ("random", ""),
    }


def test_criteria_are_compared_at_equal_sizes(tmp_path, cli):
    write_criteria(tmp_path)
    assert cli(REPORT, tmp_path).status == 0
    page = (tmp_path / "report.md").read_text()
    section = page[page.index("## Which criterion?") : page.index("## What the tickets are")]
    gains = {level: 100 * (np.array(LOSS[level]) - EXAMPLE[level]) for level in EXAMPLE}
    tests = {level: stats.ttest_1samp(gain, 0) for level, gain in gains.items()}
    corrected = holm([test.pvalue for test in tests.values()])
    for (level, test), p in zip(tests.items(), corrected):
        interval = test.confidence_interval(0.95)
        difference = f"{gains[level].mean():+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"
        assert f"| {level[0]} + {level[1]} | {100 * np.mean(LOSS[level]):.1f} ± " in section
        assert f"| {difference} | {p:.3f} | 4 |" in section
    overall = stats.ttest_1samp(np.mean(list(gains.values()), axis=0), 0)
    assert "its winning tickets are above those by `example`: " in section
    assert f"p {overall.pvalue:.3f}, 4 seeds)" in section and "sizes: 2 + 0, 4 + 1 |" in section


def test_a_task_without_tickets_by_a_criterion_is_named(tmp_path, cli):
    write_criteria(tmp_path)
    write_line(tmp_path, "dense", {(0, 0): [0.78, 0.79, 0.78, 0.80]}, task="sst")
    write_line(tmp_path, "winning", EXAMPLE, task="sst")
    assert cli(REPORT, tmp_path).status == 0
    page = (tmp_path / "report.md").read_text()
    section = page[page.index("## Which criterion?") : page.index("## What the tickets are")]
    assert "Tasks that take no part:" in section
    assert "- criterion loss, sst: no tickets by loss and example that share size and seed\n" in section


def test_criteria_are_not_compared_without_the_default_one(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.78, 0.79]})
    for shift, criterion in enumerate(("loss", "token")):
        write_line(tmp_path, "winning", {(2, 0): [0.80, 0.82]}, criterion=criterion, shift=shift)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0 and "criterion token" not in ended.out
    page = (tmp_path / "report.md").read_text()
    assert "are those by `loss`." in page and "Which criterion?" not in page


def test_a_report_of_one_other_criterion_gives_its_super_tickets(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.7]})
    write_line(tmp_path, "winning", {(2, 0): [0.8, 0.8]}, criterion="loss")
    assert cli(REPORT, tmp_path).status == 0
    assert "rte: {heads: 2, ffns: 0, criterion: loss}   # 80.0" in (tmp_path / "super_tickets.yml").read_text()
    assert "Which criterion?" not in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("held_out", [None, dict.fromkeys([(0, 0), (2, 0), (4, 1)], [0.7])])
def test_the_legend_of_one_task_fits_its_figure(tmp_path, held_out):
    write_line(tmp_path, "dense", {(0, 0): [0.8]}, held_out, positive=120)
    for kind in ("winning", "random", "losing"):
        write_line(tmp_path, kind, {(2, 0): [0.9], (4, 1): [0.7]}, held_out)
    figure = phase_transitions(transitions_of(tmp_path))
    figure.canvas = FigureCanvasAgg(figure)
    figure.canvas.draw()
    legend = figure.legends[0].get_window_extent()
    assert 0 <= legend.x0 and legend.x1 <= figure.bbox.x1


def test_every_line_has_a_style_and_is_drawn(tmp_path):
    write_criteria(tmp_path)
    for at in range(len(LINES) + 2):
        write_line(tmp_path, "winning", {(2, 0): [0.8]}, criterion=f"own_{at}")
    (transition,) = transitions_of(tmp_path)
    found = styles([transition])
    assert found.keys() == transition.lines.keys()
    assert len(set(found.values())) == len(found)
    assert found["winning"][0] == found["winning by loss"][0] and found["winning"][1:] != found["winning by loss"][1:]
    labels = [text.get_text() for text in phase_transitions([transition]).legends[0].get_texts()]
    assert {"dense model", *list(transition.lines)[1:]} <= set(labels)

    for point in transition.points:  # a kind that has no colour
        point.kind = point.kind.replace("random", "lucky")
    assert styles([transition])["lucky"][0] == OTHER_COLOURS[0]


def test_rank_correlations_are_spearmans_over_seeds(tmp_path, cli):
    rng = np.random.default_rng(0)
    scores = {(name, seed): (rng.random((3, 4)), rng.random(3)) for name in ("", "_loss", "_token") for seed in (1, 2)}
    scores["_token", 2] = None  # not scored yet
    for (name, seed), own in scores.items():
        if own:
            write_importance(
                tmp_path / f"rte/seed_{seed}/importance{name}.json",
                *own,
                {
                    "task": "rte",
                    "seed": seed,
                    "model": MODEL,
                    "checkpoint": "model",
                    "criterion": name[1:] or "example",
                },
            )
    found = agreements(by_criterion(read_importance_files([tmp_path])))
    assert [(own.one, own.other, list(own.heads)) for own in found] == [
        ("example", "loss", [1, 2]),
        ("example", "token", [1]),
        ("loss", "token", [1]),
    ]

    def normalised(heads):
        return heads / np.linalg.norm(heads, axis=1, keepdims=True)

    for seed in (1, 2):
        (heads, ffns), (other_heads, other_ffns) = scores["", seed], scores["_loss", seed]
        expected = stats.spearmanr(normalised(heads).ravel(), normalised(other_heads).ravel()).statistic
        assert found[0].heads[seed] == pytest.approx(expected)
        assert found[0].ffns[seed] == pytest.approx(stats.spearmanr(ffns, other_ffns).statistic)

    write_line(tmp_path, "dense", {(0, 0): [0.7]})
    assert cli(REPORT, tmp_path).status == 0
    means = np.mean(list(found[0].heads.values())), np.std(list(found[0].heads.values()), ddof=1)
    page = (tmp_path / "report.md").read_text()
    assert f"| rte | example and loss | {means[0]:.2f} ± {means[1]:.2f} | " in page
    assert page.count("Importance by the criterion `") == 3


def test_scores_on_several_parts_of_the_rows_are_told_apart(tmp_path):
    rng = np.random.default_rng(0)
    for fraction in (0.1, 0.5):
        for name in ("", "_token")[: 1 + (fraction == 0.5)]:
            more = {"task": "rte", "seed": 1, "model": MODEL, "checkpoint": "model", "train_fraction": fraction}
            write_importance(
                tmp_path / f"rows_{fraction}/importance{name}.json",
                rng.random((MODEL["layers"], MODEL["heads"])),
                rng.random(MODEL["layers"]),
                {**more, "criterion": name[1:] or "example"},
            )
    found = by_criterion(read_importance_files([tmp_path]))
    parts = [f"rte, {percent} % of the training rows" for percent in (10, 50)]
    assert [task for task, _ in found["example"]] == parts
    assert [agreement.task for agreement in agreements(found)] == parts[1:]


def test_scores_that_rank_nothing_agree_with_nothing():
    flat, other = (np.ones((2, 3)), np.ones(2)), (np.arange(6.0).reshape(2, 3), np.arange(2.0))
    (found,) = agreements({"a": {("rte", 1): flat}, "b": {("rte", 1): other}})
    assert found.heads == {1: 0.0} and found.ffns == {1: 0.0}


# ---- tickets of other tasks ----


def write_transfer(folder):
    rng = np.random.default_rng(0)
    scores = {}
    for task in ("mrpc", "rte", "sst"):
        write_line(folder, "dense", {(0, 0): [0.8, 0.81, 0.82]}, task=task)
        for at, owner in enumerate(("mrpc", "rte", "sst", "random")):
            kind = "random" if owner == "random" else "winning"
            values = (0.7 + 0.1 * (owner == task) - 0.1 * (kind == "random") + rng.uniform(0, 0.02, 3)).tolist()
            scores[task, owner] = 100 * np.array(values)
            more = {"owner": owner} if owner not in (task, "random") else {}
            write_line(folder, kind, {(4, 1): values}, task=task, shift=at, **more)
    return scores


def test_the_matrix_of_transfer_has_every_task_under_every_ticket(tmp_path, cli):
    scores = write_transfer(tmp_path)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    page = (tmp_path / "report.md").read_text()
    section = page[page.index("## Do tickets transfer?") : page.index("## What the tickets are")]
    tasks = ["mrpc", "rte", "sst"]
    assert "| task | ticket of mrpc | ticket of rte | ticket of sst | random ticket | dense model |" in section
    for task in tasks:
        cells = [f"{scores[task, owner].mean():.1f} ± {scores[task, owner].std(ddof=1):.1f}" for owner in tasks]
        assert f"| {task} | {' | '.join(cells)} | " in section
    cells = [(task, owner) for task in tasks for owner in tasks if owner != task]
    p_values = holm([stats.ttest_rel(scores[task, owner], scores[task, task]).pvalue for task, owner in cells])
    for (task, owner), p in zip(cells, p_values):
        difference = (scores[task, owner] - scores[task, task]).mean()
        assert f"{difference:+.1f} [" in section and (f"p {p:.3f}" in section or p < 0.001)
    gain = np.mean(
        [scores[task, task] - np.mean([scores[task, own] for own in tasks if own != task], axis=0) for task in tasks], 0
    )
    claim = "T1, winning tickets of the task itself are above those of other tasks"
    assert f"{claim}: confirmed (mean of 3 tasks {gain.mean():+.1f}" in section
    others = [np.mean([scores[task, own] for own in tasks if own != task], axis=0) for task in tasks]
    over = np.mean([other - scores[task, "random"] for task, other in zip(tasks, others)], axis=0)
    low, high = stats.ttest_1samp(over, 0).confidence_interval(0.95)
    claim = "T2, winning tickets of other tasks are above random ones of equal size"
    assert f"{claim}: confirmed (mean of 3 tasks {over.mean():+.1f} [{low:+.1f}, {high:+.1f}]" in section


def test_tickets_of_other_tasks_are_no_candidates_and_no_line(tmp_path):
    write_transfer(tmp_path)
    write_line(tmp_path, "winning", {(2, 0): [1.0, 1.0, 1.0]}, task="rte", owner="sst")
    transition = transitions_of(tmp_path)[1]
    assert {point.owner for point in transition.foreign} == {"mrpc", "sst"} and len(transition.foreign) == 3
    assert super_ticket(transition, DEV).size == (4, 1) and len(transition.of_kind("winning")) == 1
    compared = [transition.to_dense[point] for point in transition.foreign]  # one family, whoever owns them
    assert [one.p_holm for one in compared] == pytest.approx(holm([one.p or 1 for one in compared]), nan_ok=True)
    assert "winning of sst" in transition.lines and "winning of sst" not in styles([transition])


def test_a_task_with_nothing_but_tickets_of_others_is_reported(tmp_path, cli):
    write_line(tmp_path, "winning", {(4, 1): [0.7, 0.71]}, task="rte", owner="sst", positive=110)
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    page = (tmp_path / "report.md").read_text()
    assert "| winning of sst | 4 | 1 | " in page and "## Do tickets transfer?" in page


@pytest.mark.slow
def test_records_keep_criteria_and_owners(tmp_path, cli):
    write_criteria(tmp_path / "sweep")
    write_transfer(tmp_path / "sweep/more")
    assert cli(REPORT, tmp_path / "sweep", "--output_dir", tmp_path / "live").status == 2  # rte has two dense models
    shutil.rmtree(tmp_path / "sweep/more/rte")
    for source, output in (("sweep", "live"), ("runs", "anew")):
        ended = cli(REPORT, tmp_path / source, "--output_dir", tmp_path / output)
        assert ended.status == 0, ended.err
        if source == "sweep":
            assert cli(COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs").status == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "live").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "anew").iterdir()
    }
    assert len((tmp_path / "runs/options.json").read_text().split('"epochs"')) == 2  # one set of options


def test_exact_sharing_is_a_row_of_its_own(tmp_path, cli):
    for seed in (1, 2):
        write_shared_run(tmp_path, "dense", seed, {"rte": 0.7, "sst": 0.71 + seed / 100})
        write_shared_run(tmp_path, "winning", seed, {"rte": 0.71, "sst": 0.72}, exact_sharing=False)
        write_shared_run(tmp_path / "exact", "winning", seed, {"rte": 0.72, "sst": 0.72}, exact_sharing=True)
    ended = cli(MULTI_TASK, tmp_path)
    assert ended.status == 0, ended.err
    assert "| Tickets-Share, tiny |" in ended.out and "| Tickets-Share (exact sharing), tiny |" in ended.out
