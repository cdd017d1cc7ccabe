"""Records of runs, collected into one small folder, from which reports are made without the runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from calls import QUICK, ROOT, files_in, result_of, rewind
from fake_runs import COLLECT, MODEL, MULTI_TASK, REPORT, write_dev_predictions, write_line, write_run, write_shared_run

from data_utils.errors import UserError
from data_utils.json_file import write_json
from data_utils.task_kinds import TASK_KINDS
from mt_dnn.records.collection import read_collection
from mt_dnn.records.predictions import Predictions
from mt_dnn.records.record import read_importance_files, read_records
from mt_dnn.run_config import MAY_BE_UNKNOWN
from mt_dnn.tickets.scores import write_importance
from mt_dnn.tickets.ticket import choose


def write_runs(folder):
    """Runs of two tasks with three seeds, one that failed, importance scores, and runs of both tasks in one encoder."""
    held_out = {(0, 0): [0.7, 0.72, 0.74], (2, 0): [0.71, 0.73, 0.7], (4, 1): [0.6, 0.62, 0.61]}
    for task, gain in (("rte", 0.0), ("sst", 0.1)):
        write_line(folder, "dense", {(0, 0): [0.7 + gain, 0.72, 0.71]}, held_out, task=task, positive=110)
        winning = {(2, 0): [0.72, 0.75, 0.7 + gain], (4, 1): [0.6, 0.62, 0.64]}
        write_line(folder, "winning", winning, held_out, task=task, positive=110)
        write_line(folder, "random", {(4, 1): [0.5, 0.55, 0.52]}, task=task)
    for at, seed in enumerate((1, 2, 3)):
        write_importance(
            folder / "rte" / f"seed_{seed}" / "importance.json",
            np.arange(12.0).reshape(3, 4) + at,
            np.ones(3),
            {"task": "rte", "criterion": "example", "seed": seed, "model": MODEL, "checkpoint": str(folder / "model")},
        )
        for kind in ("dense", "winning", "random"):
            write_shared_run(folder / "shared", kind, seed, {"rte": 0.7 + at / 50, "sst": 0.8 - at / 60})
    failed = folder / "rte/losing/heads_2_ffns_0/seed_1"
    failed.mkdir(parents=True)
    (failed / "failed.txt").write_text("the loss is not a number\n")


def make_reports(cli, source, output):
    for report in (REPORT, MULTI_TASK):
        ended = cli(report, source, "--output_dir", output)
        assert ended.status == 0, ended.err
    return files_in(output)


def test_reports_from_records_are_those_from_the_runs_byte_for_byte(tmp_path, cli, monkeypatch):
    write_runs(tmp_path / "here/sweep")
    live = make_reports(cli, tmp_path / "here/sweep", tmp_path / "live")
    assert {"report.html", "report.csv", "report.png", "super_tickets_held_out.yml", "multi_task.html"} < live.keys()
    ended = cli(COLLECT, tmp_path / "here/sweep", "--output", tmp_path / "kept/runs")
    assert ended.status == 0, ended.err
    assert "34 runs, 34 of them new or changed, 1 failed; 3 files of importance scores" in ended.out
    shutil.rmtree(tmp_path / "here")
    assert make_reports(cli, tmp_path / "kept/runs", tmp_path / "anew") == live
    monkeypatch.chdir(tmp_path / "kept")  # nor does it matter where the records lie, or where the command is given
    assert make_reports(cli, Path("runs"), tmp_path / "again") == live
    assert not any(
        str(tmp_path).encode() in content for content in [*live.values(), *files_in(tmp_path / "kept").values()]
    )


def test_collecting_again_adds_what_is_new_and_changes_nothing_else(tmp_path, cli):
    write_runs(tmp_path / "sweep")
    late = tmp_path / "sweep/sst/winning/heads_4_ffns_1"
    shutil.move(late, tmp_path / "late")
    collect = (COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs")
    assert cli(*collect).status == 0
    first = files_in(tmp_path / "runs")
    assert "0 of them new or changed" in cli(*collect).out
    assert files_in(tmp_path / "runs") == first
    shutil.move(tmp_path / "late", late)
    shutil.rmtree(tmp_path / "sweep/rte/random")  # what is gone from the runs stays among the records
    assert "34 runs, 3 of them new or changed" in cli(*collect).out
    assert len(read_records([tmp_path / "runs"])) == 33

    write_runs(tmp_path / "again/sweep")
    assert cli(COLLECT, tmp_path / "again/sweep", "--output", tmp_path / "whole").status == 0
    assert files_in(tmp_path / "runs") == files_in(tmp_path / "whole")


@pytest.mark.parametrize("stopped_at", range(1, 6))
def test_a_collection_that_was_stopped_in_the_middle_is_read_and_goes_on(tmp_path, cli, monkeypatch, stopped_at):
    for place, precision, scores, positive in (
        ("before", "float32", [0.7, 0.8], None),
        ("after", "bfloat16", [0.8, 0.9], 110),  # its options and metrics replace those of before
    ):
        write_line(tmp_path / place / "sweep", "dense", {(0, 0): scores}, precision=precision, positive=positive)
    collect = [(COLLECT, tmp_path / place / "sweep", "--output", tmp_path / "runs") for place in ("before", "after")]
    assert cli(*collect[0]).status == 0
    renamed = []

    def stop(*paths, rename=os.replace):
        renamed.append(paths)
        if len(renamed) == stopped_at:
            raise OSError(28, "No space left on device", str(paths[1]))
        rename(*paths)

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", stop)
        cli(*collect[1])
    assert len(renamed) == stopped_at
    assert len(read_records([tmp_path / "runs"])) == 2
    assert cli(*collect[1]).status == 0
    assert {record.options["precision"] for record in read_records([tmp_path / "runs"])} == {"bfloat16"}


def test_two_that_collect_into_one_folder_at_once_lose_no_run(tmp_path):
    write_line(tmp_path / "a", "dense", {(0, 0): [0.7]})
    write_line(tmp_path / "b", "winning", {(2, 0): [0.7]})
    command = (sys.executable, "-m", "mt_dnn.records.collect", "--output", tmp_path / "records")
    for _ in range(3):
        both = [subprocess.Popen([*command, tmp_path / runs], cwd=ROOT, stdout=subprocess.DEVNULL) for runs in "ab"]
        assert [process.wait() for process in both] == [0, 0]
        assert len(read_collection(tmp_path / "records", whole=True).runs) == 2
        shutil.rmtree(tmp_path / "records")


def test_what_is_not_known_of_an_older_run_is_not_collected(tmp_path, cli):
    run = write_run(tmp_path / "sweep", "winning", (2, 0), 1, 0.5)
    config = json.loads((run / "config.json").read_text())
    write_json(run / "config.json", {**config, "encoder_weights": "abc"})
    assert cli(COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs").status == 0
    ((name, _),) = read_collection(tmp_path / "runs").runs.items()
    options = read_collection(tmp_path / "runs").options_of(name)
    assert options.keys() & {*MAY_BE_UNKNOWN} == {"encoder_weights"}


def test_a_run_that_failed_is_replaced_when_it_has_finished(tmp_path, cli):
    write_runs(tmp_path / "sweep")
    collect = (COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs")
    assert ", 1 failed" in cli(*collect).out
    write_run(tmp_path / "sweep", "losing", (2, 0), 1, 0.5)
    (tmp_path / "sweep/rte/losing/heads_2_ffns_0/seed_1/failed.txt").unlink()
    assert "34 runs, 1 of them new or changed, 0 failed" in cli(*collect).out


def test_a_result_is_kept_where_the_same_run_has_failed_elsewhere(tmp_path, cli):
    write_runs(tmp_path / "sweep")
    collect = (COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs")
    assert cli(*collect).status == 0
    kept = files_in(tmp_path / "runs")
    run = tmp_path / "sweep/rte/dense/heads_0_ffns_0/seed_1"
    (run / "result.json").unlink()
    (run / "failed.txt").write_text("memory is full\n")
    assert f"{run}: failed, but the collection has its result from before, which is kept" in cli(*collect).out
    assert files_in(tmp_path / "runs") == kept


def test_records_below_the_runs_are_not_collected_again(tmp_path, cli):
    write_line(tmp_path / "sweep", "dense", {(0, 0): [0.7]})
    failed = tmp_path / "sweep/rte/losing/heads_2_ffns_0/seed_1/failed.txt"
    failed.parent.mkdir(parents=True)
    failed.write_text("memory is full\n")
    scores = tmp_path / "sweep/rte/importance.json"
    made_from = {"task": "rte", "criterion": "example", "seed": 1, "model": MODEL}
    collect = (COLLECT, tmp_path / "sweep", "--output", tmp_path / "sweep/records")
    for first in (1.0, 2.0):  # a failed run, and scores; then it has finished, and the scores were made anew
        write_importance(scores, np.full((3, 4), first), np.ones(3), made_from)
        ended = cli(*collect)
        assert ended.status == 0, ended.err
        write_run(tmp_path / "sweep", "losing", (2, 0), 1, 0.5)
        failed.unlink(missing_ok=True)
    ended = cli(*collect)
    assert " 0 failed" in ended.out and "which is kept" not in ended.out
    ((_, (_, content)),) = read_importance_files([tmp_path / "sweep/records"]).items()
    assert content["heads"]["raw"][0][0] == 2.0


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\udcffb"])
def test_a_folder_whose_name_no_table_holds_is_refused(tmp_path, refused, name):
    write_run(tmp_path / "sweep" / name, "dense", (0, 0), 1, 0.7)
    line = refused(COLLECT, tmp_path / "sweep", "--output", tmp_path / "records")
    assert "expected a name in UTF-8 without tabs and line breaks" in line and not (tmp_path / "records").exists()


def test_runs_of_two_experiments_that_have_one_name_are_not_mixed(tmp_path, cli, refused):
    for experiment, score in (("first", 0.7), ("second", 0.8)):
        write_line(tmp_path / experiment / "single", "dense", {(0, 0): [score]})
        assert cli(COLLECT, tmp_path / experiment / "single", "--output", tmp_path / experiment / "runs").status == 0
    ours, theirs = (tmp_path / experiment / "runs" for experiment in ("first", "second"))
    assert "both have a single/rte/dense/heads_0_ffns_0/seed_1, and not the same" in refused(
        REPORT, ours, theirs, "--output_dir", tmp_path / "report"
    )
    assert len(read_records([ours, tmp_path / "first/single"])) == 1  # the run and its own record
    for experiment, first in (("first", 1.0), ("second", 2.0)):
        scores = tmp_path / experiment / "scores/importance.json"
        made_from = {"task": "rte", "criterion": "example", "seed": 1}
        write_importance(scores, np.full((3, 4), first), np.ones(3), {**made_from, "model": MODEL})
        write_line(tmp_path / experiment / "scores", "dense", {(0, 0): [0.7]})
        assert cli(COLLECT, tmp_path / experiment / "scores", "--output", tmp_path / experiment / "runs").status == 0
    with pytest.raises(UserError, match="both have a scores/importance.json, and not the same"):
        read_importance_files([ours, theirs])


def test_what_can_not_be_collected_is_one_line(tmp_path, cli, refused):
    write_runs(tmp_path / "sweep")
    out = ("--output", tmp_path / "runs")
    assert "no finished run" in refused(COLLECT, tmp_path / "none", *out)
    assert "--output: '', expected the name of a file or folder" in refused(COLLECT, tmp_path / "sweep", "--output", "")
    write_runs(tmp_path / "other/sweep")
    assert "two of them have the same name" in refused(COLLECT, tmp_path / "sweep", tmp_path / "other/sweep", *out)
    assert not (tmp_path / "runs").exists()

    assert cli(COLLECT, tmp_path / "sweep", *out).status == 0
    before = files_in(tmp_path / "runs")
    shutil.rmtree(tmp_path / "other")
    write_run(tmp_path / "other/sweep", "dense", (0, 0), 1, 0.7, epochs=9)
    assert "epochs 3 and 9; expected the same" in refused(COLLECT, tmp_path / "other/sweep", *out)
    shutil.rmtree(tmp_path / "other")
    write_run(tmp_path / "other/sweep", "winning", (2, 0), 1, 0.7, shift=1)  # as of masks from other scores
    assert "tickets" in refused(COLLECT, tmp_path / "other/sweep", *out)
    assert files_in(tmp_path / "runs") == before

    lines = before["runs.jsonl"].decode().splitlines()
    for broken, complaint in (
        (lines[0][:-5], "runs.jsonl:1:1: not JSON"),
        (json.dumps({"run": "x"}), "runs.jsonl:1: "),
        (lines[0].replace('"heads_closed": 0', '"heads_closed": -1'), "heads_closed: -1, expected a count from 0"),
        (lines[0].replace(json.loads(lines[0])["options"], "0"), "options: '0', expected one that"),
    ):
        assert broken != lines[0]
        (tmp_path / "runs/runs.jsonl").write_text("\n".join([broken, *lines[1:]]) + "\n")
        assert complaint in refused(REPORT, tmp_path / "runs", "--output_dir", tmp_path / "no")
    (tmp_path / "runs/runs.jsonl").write_text("\n".join([*lines, lines[0]]) + "\n")  # as git merges two machines' lines
    again = f"runs.jsonl:{len(lines) + 1}: run: a second line of '{json.loads(lines[0])['run']}', expected one"
    assert again in refused(REPORT, tmp_path / "runs", "--output_dir", tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_records_of_real_runs_hold_their_scores_predictions_and_tickets(workshop, fine_tuned, tmp_path, cli):
    rewind(cli, workshop, [fine_tuned / "masks"], tmp_path / "rewind", "--sparsities", "0.5", *QUICK)
    ended = cli(COLLECT, tmp_path / "rewind", fine_tuned, "--output", tmp_path / "runs")
    assert ended.status == 0, ended.err
    collection = read_collection(tmp_path / "runs", whole=True)
    assert collection.dev_sets["sst"].predicted.keys() == collection.runs.keys() and len(collection.runs) == 5
    for name, line in collection.runs.items():
        dev_set = collection.dev_sets["sst"]
        right = [label == predicted for label, predicted in zip(dev_set.gold, dev_set.predicted[name])]
        assert np.mean(right) == pytest.approx(line["result"]["dev"]["sst"]["accuracy"])
        assert collection.metrics[name]["metrics"][-1]["dev"] == line["result"]["dev"]
    assert collection.runs["sst"]["result"] == result_of(fine_tuned)

    scores = collection.importance_files["sst/importance.json"]
    ticket = choose(scores["heads"]["normalised"], scores["ffns"]["raw"], 6, 1)
    record = next(record for record in read_records([tmp_path / "runs"]) if record.kind == "winning")
    assert record.ticket("sst") == ticket


def test_large_predictions_are_left_out_and_the_baseline_is_not(tmp_path, cli):
    write_line(tmp_path / "sweep", "dense", {(0, 0): [0.7]}, positive=110)
    path = next(tmp_path.rglob("dev_predictions.tsv"))
    write_dev_predictions(path, positive=5000, rows=8000)
    collect = (COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs")
    assert "predictions left out: 1" in cli(*collect).out and not (tmp_path / "runs/predictions").exists()
    (record,) = read_records([tmp_path / "runs"])
    assert record.baseline == {"rte": {"accuracy": 0.625}}


def test_predictions_go_with_the_result_that_they_belong_to(tmp_path, cli):
    collect = (COLLECT, tmp_path / "sweep", "--output", tmp_path / "runs")
    write_line(tmp_path / "sweep", "dense", {(0, 0): [0.7, 0.8]}, positive=110)
    for accuracies, kept in (([0.7, 0.8], 2), ([0.7, 0.9], 1)):  # the same run, and one that was run anew
        assert cli(*collect).status == 0
        write_line(tmp_path / "sweep", "dense", {(0, 0): accuracies})
        for path in tmp_path.glob("sweep/**/dev_predictions.tsv"):
            path.unlink()
        assert cli(*collect).status == 0
        assert len(read_collection(tmp_path / "runs", whole=True).dev_sets["rte"].predicted) == kept
        assert sum(bool(record.baseline) for record in read_records([tmp_path / "runs"])) == kept
        write_line(tmp_path / "sweep", "dense", {(0, 0): [0.7, 0.8]}, positive=110)


def test_runs_with_other_labels_of_a_dev_set_are_refused_and_other_digits_are_not(tmp_path):
    regression, classes = TASK_KINDS["regression"], TASK_KINDS["classification"]
    collection = read_collection(tmp_path)
    collection.add_predictions("stsb", "a", Predictions(regression, (), ["5", "2.33333"], ["4.5", "2.0"]))
    collection.add_predictions("stsb", "b", Predictions(regression, (), ["5.0", "2.33333333333333"], ["4.4", "2.1"]))
    collection.add_predictions("sst", "a", Predictions(classes, ("no", "yes"), ["no", "yes"], ["no", "no"]))
    assert list(collection.dev_sets["stsb"].predicted) == ["a", "b"]
    others = [Predictions(regression, (), gold, gold) for gold in (["5", "2.3334"], ["5"], ["5", "2.33333", "1"])]
    for name, predictions in [
        *(("stsb", other) for other in others),
        ("stsb", Predictions(classes, (), ["5", "2"], ["5", "2"])),
        ("sst", Predictions(classes, ("no", "yes"), ["yes", "no"], ["no", "no"])),
        ("sst", Predictions(classes, ("yes", "no"), ["no", "yes"], ["no", "no"])),
    ]:
        with pytest.raises(UserError, match=f"c: other labels of {name} than in "):
            collection.add_predictions(name, "c", predictions)
