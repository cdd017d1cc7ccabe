"""What the report of the phase transition concludes: its mathematics, super tickets, boundary."""

import json
import math

import pytest
from fake_runs import (
    REPORT,
    transition_of,
    transitions_of,
    write_line,
    write_run,
)
from scipy.special import betainc

from data_utils.errors import UserError
from mt_dnn.reports.choice import DEV, HELD_OUT, boundary, super_ticket
from mt_dnn.reports.comparison import Comparison, compare, corrected, holm, mean
from mt_dnn.reports.sentences import boundary_line, sentences
from mt_dnn.tickets.super_tickets import SuperTicket, read_super_tickets


@pytest.mark.parametrize("metrics", [("pearson", "spearman"), ("accuracy", "f1")])
def test_held_out_rows_choose_by_the_mean_of_a_tasks_metrics(tmp_path, metrics):
    held_out = {("dense", (0, 0)): (0.8, 0.6), ("winning", (2, 0)): (0.9, 0.4), ("winning", (4, 1)): (0.7, 0.8)}
    for (kind, level), values in held_out.items():
        path = write_run(tmp_path, kind, level, 1, {"rte": dict.fromkeys(metrics, 0.5)}) / "result.json"
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "held_out": {"rte": dict(zip(metrics, values))}}))
    (transition,) = transitions_of(tmp_path)
    assert [point.held_out[1] for point in transition.points] == pytest.approx([70, 65, 75])
    assert super_ticket(transition, HELD_OUT).size == (4, 1)  # by the first metric alone (2, 0)


def test_seeds_of_one_size_are_one_point_also_if_their_weights_were_rounded_differently(tmp_path):
    paths = [write_run(tmp_path, "winning", (2, 0), seed, 0.8) / "result.json" for seed in (1, 2)]
    result = json.loads(paths[1].read_text())
    result["tasks"]["rte"]["remaining_weights"]["by_formula"] += 1e-6
    paths[1].write_text(json.dumps(result))
    (transition,) = transitions_of(tmp_path)
    assert [list(point.runs) for point in transition.points] == [[1, 2]]


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
    assert (found.low, found.high) == pytest.approx(
        (mean - 2.7764451 * error, mean + 2.7764451 * error), rel=1e-6
    )  # the 97.5 % quantile of t with 4 degrees


@pytest.mark.parametrize(
    "ticket, seeds, difference, why",
    [
        ({7: 90.0}, 0, None, "no shared seed"),
        ({1: 91.0, 7: 0.0}, 1, 1.0, "1 shared seed"),
        ({1: 91.0, 2: 93.0 + 1e-14}, 2, 1.0, "the same with every seed"),
    ],
)
def test_without_a_test_it_says_why(ticket, seeds, difference, why):
    found = compare(ticket, {1: 90.0, 2: 92.0})
    assert (found.seeds, found.difference, found.why) == (
        seeds,
        difference if difference is None else pytest.approx(difference),
        why,
    )
    assert found.p is found.low is found.high is found.p_holm is None and not found.distinguishable


def test_holms_correction():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx(
        [0.03, 0.06, 0.06, 0.02]
    )  # 3 x 0.01, at least 2 x 0.03, 2 x 0.03, 4 x 0.005
    assert holm([0.6, 0.9]) == [1, 1] and holm([]) == []


@pytest.mark.parametrize(
    "difference, corrected, verdict",
    [
        (1.0, 0.06, "not distinguishable from noise"),
        (1.0, 0.04, "confirmed"),
        (-1.0, 0.04, "refuted"),
        (1.0, None, "not tested"),
    ],
)
def test_the_corrected_p_and_the_sign_decide(difference, corrected, verdict):
    assert Comparison(4, difference, p=0.03, p_holm=corrected).verdict == verdict


def test_a_comparison_without_a_test_counts_as_p_1():
    dense = {1: 90.0, 2: 91.0, 3: 92.0}
    scores = {"a": {1: 91.0, 2: 92.1, 3: 92.9}, "b": {1: 80.0, 2: 85.0, 3: 80.0}, "c": {1: 1.0}}
    found = corrected({name: compare(values, dense) for name, values in scores.items()})
    assert found["a"].p_holm == pytest.approx(3 * found["a"].p)
    assert found["b"].p_holm == pytest.approx(2 * found["b"].p)
    assert found["c"].p_holm is None and found["a"].distinguishable


# ---- super tickets and the phase boundary ----


def test_equal_means_go_to_the_sparser_ticket_and_are_not_below(tmp_path):
    transition = transition_of(tmp_path, [0.57, 0.59], {(2, 0): [0.57, 0.59], (4, 1): [0.58, 0.58], (6, 1): [0.1, 0.1]})
    dense, _, sparser, _ = transition.points
    assert mean(sparser.scores) < mean(dense.scores)  # by rounding alone
    assert super_ticket(transition, DEV) is sparser
    found, below = boundary(transition)
    assert found is sparser and [point.size for point in below] == [(6, 1)]


def test_held_out_rows_choose_only_if_the_dense_model_has_them(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.9]})
    write_line(tmp_path, "winning", {(2, 0): [0.8], (4, 1): [0.7]}, {(2, 0): [0.5], (4, 1): [0.6]})
    (transition,) = transitions_of(tmp_path)
    assert super_ticket(transition, HELD_OUT) is None and super_ticket(transition, DEV) is transition.dense
    assert cli(REPORT, tmp_path).status == 0
    assert not (tmp_path / "super_tickets_held_out.yml").exists()


def test_pages_and_super_tickets_warn_if_candidates_have_other_seeds(tmp_path, cli):
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.7]})
    write_line(tmp_path, "winning", {(2, 0): [0.8, 0.6]})
    assert cli(REPORT, tmp_path).status == 0
    assert "other seeds" not in (tmp_path / "super_tickets.yml").read_text()
    assert "same seeds" not in (tmp_path / "report.md").read_text()
    write_line(tmp_path, "winning", {(4, 1): [0.9]})  # a lucky one
    assert cli(REPORT, tmp_path).status == 0
    assert "best of 3 candidates, 1 seed (others have other seeds)" in (tmp_path / "super_tickets.yml").read_text()
    assert "dense model do not all have the same seeds: rte." in (tmp_path / "report.md").read_text()


def test_super_tickets_of_tasks_whose_names_yaml_reads_as_something_else_are_read_back(tmp_path, cli):
    for task in ("yes", "2024"):
        write_line(tmp_path, "dense", {(0, 0): [0.7]}, task=task)
        write_line(tmp_path, "winning", {(2, 0): [0.8]}, task=task)
    assert cli(REPORT, tmp_path).status == 0
    found = read_super_tickets([tmp_path / "super_tickets.yml"])
    assert found == {"2024": SuperTicket(2, 0), "yes": SuperTicket(2, 0)}


def test_the_protocols_differ_and_are_read_back(tmp_path, cli):
    held_out = {(0, 0): [0.6, 0.6], (2, 0): [0.8, 0.7], (4, 1): [0.5, 0.5]}
    write_line(tmp_path, "dense", {(0, 0): [0.7, 0.7]}, held_out)
    write_line(tmp_path, "winning", {(2, 0): [0.6, 0.75], (4, 1): [0.8, 0.9]}, held_out)
    write_line(tmp_path, "dense", {(0, 0): [0.95]}, task="sst")
    write_line(tmp_path, "winning", {(2, 0): [0.9]}, task="sst")
    ended = cli(REPORT, tmp_path)
    assert ended.status == 0, ended.err
    assert read_super_tickets([tmp_path / "super_tickets.yml"]) == {"rte": SuperTicket(4, 1), "sst": SuperTicket(0, 0)}
    assert read_super_tickets([tmp_path / "super_tickets_held_out.yml"]) == {
        "rte": SuperTicket(2, 0)
    }  # sst holds nothing out
    rte, sst = ended.out.split("sst (accuracy")
    assert (
        "chosen on dev:" in rte
        and "; dev 85.0 ± 7.1, biased" in rte
        and "(2 heads, 0 FFNs closed); dev 67.5 ± 10.6\n" in rte
    )
    assert "chosen on dev: the dense model; dev 95.0" in sst and "--holdout 0.1" in sst


@pytest.mark.parametrize(
    "winning, sparsest, sentence",
    [
        (
            {(2, 0): [0.8], (4, 1): [0.7], (6, 1): [0.6]},
            (4, 1),
            "(4 heads, 1 FFN closed), the sparsest winning ticket that is not below the dense model",
        ),
        (
            {(2, 0): [0.6], (4, 1): [0.8], (6, 1): [0.6]},
            (4, 1),
            "not below the dense model; 1 less sparse ticket is below dense",
        ),
        ({(2, 0): [0.6], (4, 1): [0.8]}, (4, 1), "1 less sparse ticket is below dense; no sparser one was tried"),
        (
            {(2, 0): [0.69], (4, 1): [0.6]},
            None,
            "no phase transition seen: every winning ticket tried is below the dense model",
        ),
        (
            {(2, 0): [0.7], (4, 1): [0.8]},
            None,
            "no phase transition seen: no winning ticket tried is below the dense model",
        ),
    ],
)
def test_the_phase_boundary(tmp_path, winning, sparsest, sentence):
    transition = transition_of(tmp_path, [0.7], winning)
    found, _ = boundary(transition)
    assert (found and (found.heads, found.ffns)) == sparsest
    assert sentence in boundary_line(transition)


def test_gain_and_fall_are_told_from_noise(tmp_path):
    dense = [0.70, 0.71, 0.72, 0.70]
    transition = transition_of(tmp_path, dense, {(2, 0): [0.71, 0.70, 0.76, 0.68], (4, 1): [0.50, 0.52, 0.51, 0.50]})
    gain, fall = [line for line in sentences(transition) if line.startswith("largest")]
    assert gain.startswith("largest gain: +0.5 [") and gain.endswith(": not distinguishable from noise")
    assert fall.startswith("largest fall: -20.0 [") and fall.endswith(" p < 0.001: distinguishable from noise")


def test_every_kind_of_ticket_is_a_family_of_its_own(tmp_path):
    write_line(tmp_path, "random", {(2, 0): [0.5, 0.6]})
    transition = transition_of(tmp_path, [0.7, 0.7], {(2, 0): [0.8, 0.75], (4, 1): [0.6, 0.2]})
    by_kind = {
        kind: [transition.to_dense[point] for point in transition.of_kind(kind)] for kind in ("winning", "random")
    }
    assert by_kind["random"][0].p_holm == by_kind["random"][0].p
    assert by_kind["winning"][0].p_holm == pytest.approx(2 * by_kind["winning"][0].p)
    assert transition.dense not in transition.to_dense


def test_different_seeds_are_pointed_out(tmp_path):
    lines = list(sentences(transition_of(tmp_path, [0.7, 0.7], {(2, 0): [0.8]})))
    assert any(line.startswith("warning: ") for line in lines)


# ---- gathering ----


def test_seeds_may_have_their_own_tickets_but_twins_agree(tmp_path):
    write_run(tmp_path, "winning", (2, 0), 1, 0.7)
    write_run(tmp_path, "winning", (2, 0), 2, 0.8, shift=1)
    write_run(tmp_path / "again", "winning", (2, 0), 2, 0.8, shift=1)
    (transition,) = transitions_of(tmp_path)
    assert [list(point.runs) for point in transition.points] == [[1, 2]]
    write_run(tmp_path / "again", "winning", (2, 0), 2, 0.8, shift=2)
    with pytest.raises(UserError, match="tickets .*expected the same"):
        transitions_of(tmp_path)


@pytest.mark.parametrize("with_it", ["dense", "winning"])
def test_runs_from_before_and_after_a_new_flag_are_not_mixed(tmp_path, with_it):
    for kind, size in (("dense", (0, 0)), ("winning", (2, 0))):
        write_run(tmp_path, kind, size, 1, 0.7, **({"label_smoothing": 0.1} if kind == with_it else {}))
    with pytest.raises(UserError, match="label_smoothing (None and )?0.1( and None)?; expected the same"):
        transitions_of(tmp_path)


def test_runs_with_other_options_are_not_mixed(tmp_path):
    write_run(tmp_path, "dense", (0, 0), 1, 0.7, holdout=0.1)
    write_run(tmp_path, "winning", (2, 0), 1, 0.7, holdout=0.0)
    with pytest.raises(UserError, match="holdout 0.1 and 0.0"):
        transitions_of(tmp_path)


def test_a_broken_score_on_held_out_rows_is_one_line(tmp_path, refused):
    write_run(tmp_path, "dense", (0, 0), 1, 0.7, held_out="high")
    assert "result.json: held_out.rte.accuracy: 'high', expected a score from -1 to 1" in refused(REPORT, tmp_path)


@pytest.mark.parametrize(
    "key, value, complaint",
    [
        ("seed", -1, "seed: -1, expected a seed from 0"),
        ("kind", "lucky", "kind: 'lucky', expected one of dense, winning"),
        ("average_score", 1.5, "average_score: 1.5, expected a score from -1 to 1"),
        ("tasks.rte.heads_closed", -2, "tasks.rte.heads_closed: -2, expected a count from 0"),
        ("tasks.rte.heads_closed", 3, "tasks.rte.heads_closed: 3, expected 2 as in"),
        ("tasks.rte.ffns_closed", 10**30, "expected one of at most 64 bits"),
        ("tasks.rte.dev_sets.rte", 0, "tasks.rte.dev_sets.rte: 0, expected a number of rows from 1"),
        ("tasks.rte.remaining_weights.by_formula", -0.5, "by_formula: -0.5, expected a number from 0 to 1"),
        ("model.layers", 0, "model.layers: 0, expected a whole number from 1"),
        ("dev", {}, "dev: {}, expected at least 1"),
        ("dev.sst", {"accuracy": 1.0}, "dev.sst: unknown key, expected some of: rte"),
        ("tasks", {}, "tasks: {}, expected at least 1"),
    ],
)
def test_a_result_that_is_not_as_written_is_refused(tmp_path, refused, key, value, complaint):
    path = write_run(tmp_path, "winning", (2, 0), 1, 0.7) / "result.json"
    result = entry = json.loads(path.read_text())
    *above, last = key.split(".")
    for name in above:
        entry = entry[name]
    entry[last] = value
    path.write_text(json.dumps(result))
    line = refused(REPORT, tmp_path, "--output_dir", tmp_path / "no")
    assert f"{path}: " in line and complaint in line and not (tmp_path / "no").exists()
