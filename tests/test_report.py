"""The report of the phase transition: its mathematics against independent computations, and what it writes about folders of runs."""

import csv
import itertools
import math
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from scipy.special import betainc

from calls import QUICK, options, result_of, rewind
from conftest import ROOT
from data_utils.files import UserError, write_json
from data_utils.metrics import average_score
from mt_dnn.masks import Mask, describe_tickets, write_mask
from mt_dnn.scores import write_importance
from mt_dnn.super_tickets import read_super_tickets
from mt_dnn.ticket import DENSE, Shape, Ticket, remaining_weights

sys.path.insert(0, str(ROOT / "experiments/phase_transition"))  # as the script does

from choice import DEV, boundary, super_ticket  # noqa: E402
from comparison import compare, compare_family, holm  # noqa: E402
from findings import boundary_line, findings  # noqa: E402
from overlap import chance, jaccard, overlaps, read_tickets, survivors  # noqa: E402
from points import gather  # noqa: E402

REPORT = "experiments/phase_transition/report.py"
SHAPE = Shape(3, 4, 32, 64, 100_000)
MODEL = {"name": "tiny", **vars(SHAPE)}


def ticket_of(n_heads, n_ffns, shift=0):
    """A ticket that closes heads one layer after the other, from the head `shift` on."""
    heads = [(at // 3, (at + shift) % 3) for at in range(n_heads)]
    return Ticket(frozenset(heads), frozenset(range(n_ffns)))


def write_run(folder, kind, level, seed, dev, held_out=None, task="rte", shift=0, **options):
    """A finished run of one task as Session writes it; `dev`: its accuracy, or {dev set: {metric: value}}; `held_out`: accuracy there."""
    ticket = DENSE if kind == "dense" else ticket_of(*level, shift)
    dev = dev if isinstance(dev, dict) else {task: {"accuracy": dev}}
    folder = folder / task / kind / f"heads_{level[0]}_ffns_{level[1]}" / f"seed_{seed}"
    write_json(folder / "config.json", {"epochs": 3, **options, "kind": kind, "seed": seed, "tickets": describe_tickets({task: ticket})})
    write_json(folder / "result.json", {
        "kind": kind, "seed": seed, "model": MODEL, "dev": dev, "average_score": average_score({task: dev}), "seconds_per_epoch": 1.5,
        "held_out": {} if held_out is None else {task: {"accuracy": held_out}},
        "tasks": {task: {"heads_closed": level[0], "ffns_closed": level[1], "training_rows": 90, "dev_sets": {name: 200 for name in dev}, "held_out_rows": 10,
                         "remaining_weights": {"by_formula": round(remaining_weights(ticket, SHAPE), 6), "counted": 1}}}})
    return folder


def write_line(folder, kind, scores, held_out=None, **more):
    """Runs of seeds 1, 2, ... by level: {(heads, FFNs closed): [dev accuracy of each seed]}; `held_out` alike."""
    for level, values in scores.items():
        for at, value in enumerate(values):
            write_run(folder, kind, level, at + 1, value, held_out[level][at] if held_out else None, **more)


def transition_of(folder, dense, winning, **more):
    write_line(folder, "dense", {(0, 0): dense}, **more)
    write_line(folder, "winning", winning, **more)
    (transition,) = gather([folder])
    return transition


def mask_for(folder, task, seed, ticket, **more):
    n_heads, n_ffns = ticket.counts
    write_mask(folder / f"masks/winning/heads_{n_heads}_ffns_{n_ffns}.json", Mask("winning", MODEL, {task: ticket, **more}, {"seed": seed}))


# ---- the paired test ----

def test_the_paired_test_is_students():
    dense = {1: 90.0, 2: 91.5, 3: 89.0, 4: 90.5, 5: 92.0}
    ticket = {1: 91.0, 2: 91.0, 3: 91.5, 4: 92.0, 5: 94.5, 6: 10.0}  # seed 6 has no partner
    found = compare(ticket, dense)
    differences = [1.0, -0.5, 2.5, 1.5, 2.5]
    mean = sum(differences) / 5
    error = math.sqrt(sum((value - mean) ** 2 for value in differences) / 4 / 5)
    assert found.seeds == 5 and found.difference == pytest.approx(1.4)
    assert found.p == pytest.approx(betainc(4 / 2, 1 / 2, 4 / (4 + (mean / error) ** 2)), rel=1e-9)
    assert (found.low, found.high) == pytest.approx((mean - 2.7764451 * error, mean + 2.7764451 * error), rel=1e-6)  # the 97.5 % quantile of t with 4 degrees


@pytest.mark.parametrize("ticket, seeds, difference, why", [
    ({7: 90.0}, 0, None, "no shared seed"), ({1: 91.0, 7: 0.0}, 1, 1.0, "1 shared seed"), ({1: 91.0, 2: 93.0 + 1e-14}, 2, 1.0, "the same with every seed")])
def test_without_a_test_it_says_why(ticket, seeds, difference, why):
    found = compare(ticket, {1: 90.0, 2: 92.0})
    assert (found.seeds, found.difference, found.why) == (seeds, difference if difference is None else pytest.approx(difference), why)
    assert found.p is found.low is found.high is found.corrected is None and not found.distinguishable


def test_holms_correction():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # 3 x 0.01, at least 2 x 0.03, 2 x 0.03, 4 x 0.005
    assert holm([0.6, 0.9]) == [1, 1] and holm([]) == []


def test_a_family_counts_those_that_can_be_tested():
    dense = {1: 90.0, 2: 91.0, 3: 92.0}
    found = compare_family({"a": {1: 91.0, 2: 92.1, 3: 92.9}, "b": {1: 80.0, 2: 85.0, 3: 80.0}, "c": {1: 1.0}}, dense)
    assert found["a"].corrected == pytest.approx(2 * found["a"].p) and found["b"].corrected == pytest.approx(found["b"].p)
    assert found["c"].corrected is None and found["a"].distinguishable


# ---- super tickets and the phase boundary ----

def test_equal_means_go_to_the_sparser_ticket(tmp_path):
    # 0.1 + 0.2 and 0.15 + 0.15 differ by rounding alone.
    transition = transition_of(tmp_path, [0.1, 0.2], {(2, 0): [0.15, 0.15], (4, 1): [0.2, 0.1], (6, 1): [0.1, 0.1]})
    assert (super_ticket(transition, DEV).heads, super_ticket(transition, DEV).ffns) == (4, 1)


def test_the_protocols_differ_and_are_read_back(tmp_path, door):
    held_out = {(0, 0): [0.6, 0.6], (2, 0): [0.8, 0.7], (4, 1): [0.5, 0.5]}
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.7]}, held_out)
    write_line(tmp_path, "winning", {(2, 0): [0.6, 0.75], (4, 1): [0.8, 0.9]}, held_out)
    write_line(tmp_path, "dense", {(0, 0): [0.95]}, task="sst")
    write_line(tmp_path, "winning", {(2, 0): [0.9]}, task="sst")
    ended = door(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    assert read_super_tickets([tmp_path / "super_tickets.yml"]) == {"rte": (4, 1), "sst": (0, 0)}
    assert read_super_tickets([tmp_path / "super_tickets_held_out.yml"]) == {"rte": (2, 0)}  # sst holds nothing out
    rte, sst = ended.out.split("sst (accuracy")
    assert "chosen on dev:" in rte and "; dev 85.0 ± 7.1, biased" in rte and "(2 heads, 0 FFNs closed); dev 67.5 ± 10.6, unbiased" in rte
    assert "chosen on dev: the dense model; dev 95.0" in sst and "--holdout 0.1" in sst


@pytest.mark.parametrize("winning, sparsest, sentence", [
    ({(2, 0): [0.8], (4, 1): [0.7], (6, 1): [0.6]}, (4, 1), "(4 heads, 1 FFN closed), the sparsest winning ticket that is not below the dense model"),
    ({(2, 0): [0.6], (4, 1): [0.8], (6, 1): [0.6]}, (4, 1), "not below the dense model; below it is 1 of the less sparse ones"),
    ({(2, 0): [0.6], (4, 1): [0.8]}, (4, 1), "below it is 1 of the less sparse ones, no sparser one was tried"),
    ({(2, 0): [0.69], (4, 1): [0.6]}, None, "no phase transition: every winning ticket tried is below the dense model"),
    ({(2, 0): [0.7], (4, 1): [0.8]}, (4, 1), "no phase transition: none of the winning tickets tried has fallen below the dense model")])
def test_the_phase_boundary(tmp_path, winning, sparsest, sentence):
    transition = transition_of(tmp_path, [0.7], winning)
    found, _ = boundary(transition)
    assert (found and (found.heads, found.ffns)) == sparsest
    assert sentence in boundary_line(transition)


def test_gain_and_fall_are_told_from_noise(tmp_path):
    dense = [0.70, 0.71, 0.72, 0.70]
    transition = transition_of(tmp_path, dense, {(2, 0): [0.71, 0.70, 0.76, 0.68], (4, 1): [0.50, 0.52, 0.51, 0.50]})
    gain, fall = [line for line in findings(transition) if line.startswith(("gain", "fall"))]
    assert gain.startswith("gain: +0.5 [") and gain.endswith(": not distinguishable from noise")
    assert fall.startswith("fall: -20.0 [") and fall.endswith(" p < 0.001: distinguishable from noise")


def test_every_kind_of_ticket_is_a_family_of_its_own(tmp_path):
    write_line(tmp_path, "random", {(2, 0): [0.5, 0.6]})
    transition = transition_of(tmp_path, [0.7, 0.7], {(2, 0): [0.8, 0.75], (4, 1): [0.6, 0.2]})
    by_kind = {kind: [transition.to_dense[point] for point in transition.of_kind(kind)] for kind in ("winning", "random")}
    assert by_kind["random"][0].corrected == by_kind["random"][0].p
    assert by_kind["winning"][0].corrected == pytest.approx(2 * by_kind["winning"][0].p)
    assert transition.dense not in transition.to_dense


def test_different_seeds_are_pointed_out(tmp_path):
    lines = list(findings(transition_of(tmp_path, [0.7, 0.7], {(2, 0): [0.8]})))
    assert any(line.startswith("beware: ") for line in lines)


# ---- what the tickets are ----

@pytest.mark.parametrize("units, one, other", [(6, 2, 3), (5, 1, 4), (7, 3, 3), (4, 4, 2), (5, 0, 2)])
def test_chance_is_the_mean_over_all_pairs_of_sets(units, one, other):
    pairs = itertools.product(itertools.combinations(range(units), one), itertools.combinations(range(units), other))
    assert chance(units, one, other) == pytest.approx(np.mean([jaccard(set(a), set(b)) for a, b in pairs]))
    assert chance(units, 0, 0) is None and jaccard(set(), set()) is None


def test_tickets_are_compared_between_tasks_and_seeds(tmp_path):
    one, near, far = (Ticket(frozenset({(0, 0), (1, head)}), frozenset({ffn})) for head, ffn in ((1, 0), (2, 0), (3, 2)))
    for folder, task, seed, ticket in (("rte", "rte", 1, one), ("rte/seed_2", "rte", 2, near), ("mrpc", "mrpc", 1, far)):
        mask_for(tmp_path / folder, task, seed, ticket)
    mask_for(tmp_path / "both", "rte", 1, ticket_of(5, 1), mrpc=one)  # merged: ignored
    mask_for(tmp_path / "rte", "rte", 1, ticket_of(4, 1))             # at a level that was not rewound
    (tickets,) = read_tickets([tmp_path, tmp_path / "rte"], {(2, 1)})
    assert tickets.levels == [(2, 1)] and tickets.tasks == ["mrpc", "rte"]
    heads, ffns = overlaps(tickets, "heads"), overlaps(tickets, "ffns")
    assert heads["mrpc and rte"] == {(2, 1): pytest.approx(1 / 3)} and heads["rte, between seeds"] == {(2, 1): pytest.approx(1 / 3)}
    assert ffns["mrpc and rte"] == {(2, 1): 0} and ffns["rte, between seeds"] == {(2, 1): 1}
    assert heads["chance"] == {(2, 1): pytest.approx(chance(12, 2, 2))} and ffns["chance"] == {(2, 1): pytest.approx(1 / 3)}
    levels, open_heads, open_ffns = survivors(tickets, "rte")
    assert levels == [(2, 1)] and open_heads.tolist() == [[3], [3], [4]] and open_ffns.tolist() == [[0], [1], [1]]

    mask_for(tmp_path / "other", "rte", 1, near)
    with pytest.raises(UserError, match="two tickets of rte with seed 1"):
        read_tickets([tmp_path], set())


# ---- gathering ----

def test_seeds_may_have_their_own_tickets_but_twins_agree(tmp_path):
    write_run(tmp_path, "winning", (2, 0), 1, 0.7)
    write_run(tmp_path, "winning", (2, 0), 2, 0.8, shift=1)
    write_run(tmp_path / "again", "winning", (2, 0), 2, 0.8, shift=1)
    (transition,) = gather([tmp_path])
    assert [list(point.runs) for point in transition.points] == [[1, 2]]
    write_run(tmp_path / "again", "winning", (2, 0), 2, 0.8, shift=2)
    with pytest.raises(UserError, match="tickets .*expected the same"):
        gather([tmp_path])


def test_runs_with_other_options_are_not_mixed(tmp_path):
    write_run(tmp_path, "dense", (0, 0), 1, 0.7, holdout=0.1)
    write_run(tmp_path, "winning", (2, 0), 1, 0.7, holdout=0.0)
    with pytest.raises(UserError, match="holdout 0.1 and 0.0"):
        gather([tmp_path])


def test_a_broken_score_on_held_out_rows_is_one_line(tmp_path, refused):
    write_run(tmp_path, "dense", (0, 0), 1, 0.7, held_out="high")
    assert "keys are missing or not as expected" in refused(REPORT, tmp_path)


# ---- what is written ----

def test_report_shows_every_ticket_with_mean_and_spread(workshop, fine_tuned, tmp_path, door, refused):
    rewind(door, workshop, [fine_tuned / "masks"], tmp_path, "--sparsities", "0.5", "--seeds", 2018, 1, *QUICK)
    ended = door(REPORT, tmp_path, tmp_path / "dense", "--output_dir", tmp_path / "report")
    assert ended.status == 0, ended.err
    lines = list(csv.DictReader(open(tmp_path / "report/report.csv")))
    assert [(line["ticket"], line["seeds"]) for line in lines] == [(kind, "2") for kind in ("dense", "winning", "random", "losing")]
    values = [result_of(tmp_path / f"winning/heads_6_ffns_1/seed_{seed}")["dev"]["sst"]["accuracy"] for seed in (2018, 1)]
    assert float(lines[1]["mean"]) == pytest.approx(np.mean(values), abs=1e-6) and float(lines[1]["std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-6)
    markdown = (tmp_path / "report/report.md").read_text()
    assert markdown.count("| winning |") == 1 + 2 and f"{100 * np.mean(values):.1f} ± " in markdown
    assert (tmp_path / "report/report.png").read_bytes().startswith(b"\x89PNG")
    assert "best winning ticket" in ended.out

    complaint = refused(REPORT, fine_tuned, tmp_path, "--output_dir", tmp_path / "no")
    assert "epochs 3 and 1; train_fraction 1.0 and 0.2; expected the same" in complaint
    (tmp_path / "empty").mkdir()
    assert "no finished run" in refused(REPORT, tmp_path / "empty")
    assert not (tmp_path / "no").exists()


def test_held_out_scores_of_real_runs_choose_a_super_ticket(workshop, tmp_path, door):
    more = ("--sparsities", "0.2", "0.5", "--holdout", 0.2, *QUICK)
    assert door("train.py", *options(workshop), *more, "--do_train", "--do_mask", "--output_dir", tmp_path).status == 0
    rewind(door, workshop, [tmp_path / "masks/dense", tmp_path / "masks/winning"], tmp_path, *more)
    ended = door(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    held_out = {(n_heads, n_ffns): result_of(tmp_path / f"{kind}/heads_{n_heads}_ffns_{n_ffns}/seed_2018")["held_out"]["sst"]["accuracy"]
                for kind, n_heads, n_ffns in (("dense", 0, 0), ("winning", 2, 0), ("winning", 6, 1))}
    assert read_super_tickets([tmp_path / "super_tickets_held_out.yml"]) == {"sst": max(held_out, key=lambda level: (held_out[level], level))}


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.references, self.text = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_holds_everything_itself_and_escapes_names(tmp_path, door):
    task = "<b>&\"$x$"
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.72]}, task=task)
    write_line(tmp_path, "winning", {(2, 1): [0.8, 0.7], (4, 1): [0.5, 0.6]}, task=task)
    write_line(tmp_path, "dense", {(0, 0): [0.7]}, task="rte")
    failed = tmp_path / task / "winning/heads_6_ffns_1/seed_1"
    failed.mkdir(parents=True)
    (failed / "failed.txt").write_text("the loss is <nan>\n")
    mask_for(tmp_path, task, 1, ticket_of(2, 1))
    write_importance(tmp_path / "importance.json", np.ones((3, 4)), np.ones(3), {"task": task, "seed": 1, "model": MODEL, "checkpoint": "model"})
    ended = door(REPORT, tmp_path, "--output_dir", tmp_path / "report")
    assert ended.status == 0, ended.err
    written = (tmp_path / "report/report.html").read_text()
    page = Page(written)
    assert not page.tags & {"script", "link", "iframe", "b"} and "@import" not in written and "url(" not in written
    assert len(page.references) == 5 and all(reference.startswith("data:image/svg+xml;base64,") for reference in page.references)
    text = "".join(page.text)
    assert task in page.text and text.count("the loss is <nan>") == 1 and text.count("nan") == 1
    for folder in (failed, *(path.parent for path in tmp_path.rglob("result.json"))):
        assert str(folder) in text
    assert "the loss is <nan>" in (tmp_path / "report/report.md").read_text()


def test_one_seed_has_differences_and_no_test(tmp_path, door):
    write_line(tmp_path, "dense", {(0, 0): [0.8]})
    write_line(tmp_path, "winning", {(2, 0): [0.85]})
    ended = door(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    assert f"one seed; the sampling error of one accuracy on 200 rows is {100 * math.sqrt(0.8 * 0.2 / 200):.1f} points" in ended.out
    assert "no test (1 shared seed)" in ended.out and "nan" not in ended.out
    markdown = (tmp_path / "report.md").read_text()
    assert "| 85.0 | +5.0 | 1 shared seed | 1 |" in markdown and "No winning masks" in markdown and "No importance.json" in markdown
    assert not (tmp_path / "super_tickets_held_out.yml").exists()


def test_the_score_of_several_dev_sets_is_their_average(tmp_path, door):
    for kind, level, values in (("dense", (0, 0), (0.8, 0.6)), ("winning", (2, 0), (0.7, 0.76))):
        write_run(tmp_path, kind, level, 1, {"matched": {"accuracy": values[0]}, "mismatched": {"accuracy": values[1]}}, task="mnli")
    ended = door(REPORT, tmp_path)
    assert "mnli (score: mean of matched accuracy and mismatched accuracy; 200 matched rows, 200 mismatched rows)\n  dense: 70.0\n" in ended.out, ended.err
    lines = list(csv.DictReader(open(tmp_path / "report.csv")))
    assert [(line["dataset"], line["mean"], line["to_dense"]) for line in lines[3:]] == [("matched", "0.7", ""), ("mismatched", "0.76", ""), ("", "0.73", "0.03")]
    assert (tmp_path / "report.md").read_text().count("\n## mnli\n") == 1
