"""GLUE's submission file against the benchmark's rules."""

import gc
import json
import weakref
import zipfile

import pytest
import toy
from calls import renamed, table

from data_utils.errors import UserError
from mt_dnn.export.classifier import load_classifier
from mt_dnn.export.submission import HEADER, check_submission, read_rules
from mt_dnn.model_files import load_model


@pytest.fixture
def raw(workshop, tmp_path):
    """Test sets with as many rows as GLUE's; a row of RTE lacks a sentence."""
    for folder, columns, rows in (
        ("SST-2", ("sentence",), 1821),
        ("RTE", ("sentence1", "sentence2"), 3000),
        ("STS-B", ("genre", "sentence1", "sentence2"), 1379),
    ):
        lines = [
            "\t".join(("index", *columns)),
            *("\t".join((str(i), *([toy.PLAIN[i % 14]] * len(columns)))) for i in range(rows)),
        ]
        if folder == "RTE":
            lines[8] = "7\tthe film"
        (tmp_path / "glue" / folder).mkdir(parents=True)
        (tmp_path / "glue" / folder / "test.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path / "glue"


def test_a_submission_keeps_the_benchmarks_rules(runs, raw, tmp_path, cli):
    ended = cli(
        "mt_dnn/predict.py", *runs.values(), "--glue_format", "--raw_dir", raw, "--output", tmp_path / "out.zip"
    )
    assert ended.status == 0, ended.err
    assert (
        "for a whole submission it lacks CoLA.tsv, MRPC.tsv, QQP.tsv, MNLI-m.tsv, MNLI-mm.tsv, QNLI.tsv, "
        "WNLI.tsv, AX.tsv" in ended.out
    )
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        files = {name: table(archive.read(name).decode()) for name in archive.namelist()}
    assert {name: len(rows) for name, rows in files.items()} == {"SST-2.tsv": 1822, "STS-B.tsv": 1380, "RTE.tsv": 3001}
    for rows in files.values():
        assert rows[0] == ["index", "prediction"] and [row[0] for row in rows[1:]] == [
            str(i) for i in range(len(rows) - 1)
        ]
    assert {row[1] for row in files["SST-2.tsv"][1:]} <= {"0", "1"} and {row[1] for row in files["RTE.tsv"][1:]} <= {
        "entailment",
        "not_entailment",
    }
    assert all(0 <= float(row[1]) <= 5 for row in files["STS-B.tsv"][1:])
    classify = load_classifier(runs["sst"])
    assert [row[1] for row in files["SST-2.tsv"][1:15]] == [label for label, _ in classify(toy.PLAIN[:14])]


def test_a_model_of_several_tasks_is_loaded_once_and_dropped_before_the_next(
    workshop, runs, mt_dnn_run, tmp_path, cli, refused, monkeypatch
):
    loaded = []

    def noted(folder, *arguments, **more):
        gc.collect()
        assert not any(model() for _, model in loaded), "an earlier model is still in memory"
        model = load_model(folder, *arguments, **more)
        loaded.append((folder, weakref.ref(model)))
        return model

    monkeypatch.setattr("mt_dnn.export.classifier.load_model", noted)
    monkeypatch.setattr("mt_dnn.export.submission._refuse_other_size", lambda *arguments: None)
    cola = renamed(runs["sst"], tmp_path / "cola", "cola")
    call = "mt_dnn/predict.py", mt_dnn_run, cola, "--glue_format", "--output", tmp_path / "out.zip", "--raw_dir"
    assert "test.tsv: no such file" in refused(*call, tmp_path) and not loaded
    ended = cli(*call, workshop.raw)
    assert ended.status == 0 and "STS-B.tsv: 160 rows" in ended.out and "CoLA.tsv: 40 rows" in ended.out, ended.err
    assert [folder for folder, _ in loaded] == [mt_dnn_run / "model", cola]


def test_a_zip_that_can_not_be_written_is_refused_before_anything_is_predicted(
    runs, raw, tmp_path, refused, monkeypatch
):
    monkeypatch.setattr("mt_dnn.export.submission.classifier_of", None)
    call = ("mt_dnn/predict.py", runs["sst"], "--glue_format", "--raw_dir", raw, "--output", tmp_path)
    assert f"{tmp_path}: a folder, expected the name of a file to write" in refused(*call)


def test_what_the_benchmark_would_not_take_is_refused(workshop, runs, raw, tmp_path, refused):
    def complaint(*args, raw_dir=raw):
        line = refused(
            "mt_dnn/predict.py", *args, "--glue_format", "--raw_dir", raw_dir, "--output", tmp_path / "out.zip"
        )
        assert not (tmp_path / "out.zip").exists()
        return line

    assert "SST-2/test.tsv: 10 rows, expected the 1821 of the benchmark's test set" in complaint(
        runs["sst"], raw_dir=workshop.raw
    )
    assert "two models of 'sst', expected one" in complaint(runs["sst"], runs["sst"])
    assert "SST-2/test.tsv: no such file" in complaint(runs["sst"], raw_dir=tmp_path)
    (tmp_path / "tasks.yml").write_text(
        "sst: {kind: classification, labels: ['0', '1'], metrics: [accuracy], text: [sentence], label: label, "
        "splits: {train: a, dev: b}}"
    )
    assert "tasks.yml: sst.splits: no 'test', expected the test set of SST-2.tsv" in complaint(
        runs["sst"], "--task_def", tmp_path / "tasks.yml"
    )
    assert (
        "the model of 'rte' has the labels 0, 1 for sentence, expected GLUE's rte: entailment, not_entailment "
        "for sentence1 and sentence2" in complaint(renamed(runs["sst"], tmp_path / "rte", "rte"))
    )
    swapped = renamed(runs["rte"], tmp_path / "swapped", "rte")
    content = json.loads((swapped / "tasks.json").read_text())
    content["tasks"]["rte"]["text"] = ["sentence2", "sentence1"]
    (swapped / "tasks.json").write_text(json.dumps(content))
    assert (
        "the model of 'rte' has the labels not_entailment, entailment for sentence2 and sentence1, expected GLUE's "
        "rte: entailment, not_entailment for sentence1 and sentence2" in complaint(swapped)
    )
    assert "--glue_format with --input or --task" in complaint(runs["sst"], "--task", "sst")
    assert "--glue_format without --output" in refused("mt_dnn/predict.py", runs["sst"], "--glue_format")
    assert "no test set of 'reviews', expected one of the tasks: cola, sst" in complaint(
        renamed(runs["sst"], tmp_path / "reviews", "reviews")
    )


@pytest.mark.parametrize(
    "name, change, complaint",
    [
        ("CoLA.tsv", lambda lines: lines, None),
        ("cola.tsv", lambda lines: lines, "cola.tsv: no file of a submission, expected some of: CoLA.tsv"),
        ("out/CoLA.tsv", lambda lines: lines, "no file of a submission"),
        ("CoLA.tsv", lambda lines: lines[1:], "CoLA.tsv:1: '0\\t1', expected 'index\\tprediction'"),
        ("CoLA.tsv", lambda lines: lines[:-1], "CoLA.tsv: 1062 rows, expected the 1063"),
        ("CoLA.tsv", lambda lines: [*lines, "1063\t0"], "CoLA.tsv: 1064 rows"),
        ("CoLA.tsv", lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], "CoLA.tsv:6: index '5', expected 4"),
        (
            "CoLA.tsv",
            lambda lines: [*lines[:5], "4\tacceptable", *lines[6:]],
            "CoLA.tsv:6: prediction 'acceptable', expected ['0', '1']",
        ),
        ("STS-B.tsv", lambda lines: lines, "STS-B.tsv: 1063 rows, expected the 1379"),
        (
            "STS-B.tsv",
            lambda lines: [*lines[:5], "4\t5.001", *lines[6:]],
            "STS-B.tsv:6: prediction '5.001', expected a number from 0 to 5",
        ),
        ("STS-B.tsv", lambda lines: [*lines[:5], "4\tnan", *lines[6:]], "prediction 'nan'"),
        (
            "MNLI-m.tsv",
            lambda lines: lines,
            "MNLI-m.tsv:2: prediction '1', expected ['entailment', 'neutral', 'contradiction']",
        ),
    ],
)
def test_the_check_knows_the_rules(tmp_path, name, change, complaint):
    path = tmp_path / "submission.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "\n".join(change([HEADER, *(f"{i}\t1" for i in range(1063))])) + "\n")
    if complaint is None:
        check_submission(path, read_rules(), path)
    else:
        with pytest.raises(UserError) as error:
            check_submission(path, read_rules(), path)
        assert complaint in str(error.value)


def test_every_test_set_of_the_rules_is_in_the_task_file(workshop):
    for rule in read_rules().values():
        task = workshop.tasks[rule["task"]]
        assert rule["split"] in task.splits and task.splits[rule["split"]].label is None
        assert set(rule.get("labels", ())) == set(task.labels)
    used = {(rule["task"], rule["split"]) for rule in read_rules().values()}
    assert used == {
        (task.name, split)
        for task in workshop.tasks.values()
        for split in task.splits
        if split.endswith("test") and task.name not in ("snli", "scitail")
    }
