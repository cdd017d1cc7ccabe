"""Predictions for one's own text, and GLUE's submission file against the benchmark's rules."""

import io
import zipfile

import numpy as np
import pytest
import toy
from calls import QUICK, options

from data_utils.errors import UserError
from data_utils.saved_tasks import SavedTasks
from data_utils.tasks import read_tasks
from data_utils.tsv import Row
from mt_dnn.export.classifier import load_classifier
from mt_dnn.export.submission import HEADER, check_submission, read_rules
from mt_dnn.predict import main as predict_main


def table(text):
    return [line.split("\t") for line in text.splitlines()]


@pytest.fixture
def predict(door, monkeypatch):
    """Call mt_dnn.predict, maybe with something on standard input; return the rows that it writes."""

    def call(*args, stdin=None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        ended = door("mt_dnn/predict.py", *args)
        assert ended.status == 0, ended.err
        return table(ended.out)

    return call


@pytest.fixture(scope="session")
def other_runs(tmp_path_factory):
    return tmp_path_factory.mktemp("other")


@pytest.fixture
def runs(workshop, fine_tuned, other_runs, door):
    """{task: the folder of train.py}"""
    for task in ("stsb", "rte"):
        if not (other_runs / task).exists():
            assert (
                door(
                    "train.py", *options(workshop, task, *QUICK), "--do_train", "--output_dir", other_runs / task
                ).status
                == 0
            )
    return {"sst": fine_tuned, "stsb": other_runs / "stsb", "rte": other_runs / "rte"}


def test_an_onnx_export_in_bfloat16_is_one_line(tmp_path, refused):
    SavedTasks("onnx", {"sst": read_tasks(toy.TASK_DEF)["sst"]}, 32).write(tmp_path)
    assert "an ONNX export computes in float32" in refused("mt_dnn/predict.py", tmp_path, "--precision", "bfloat16")


def test_a_runs_dev_file_gets_the_runs_dev_predictions(workshop, runs, predict):
    for task, file in (("sst", "SST-2"), ("rte", "RTE")):
        expected = table((runs[task] / "dev_predictions.tsv").read_text())[1:]
        header, *found = predict(
            runs[task], "--input", workshop.raw / file / "dev.tsv"
        )  # a header names the texts, among other columns
        assert header == ["row", "label", "probability"]
        assert [[row, label] for row, label, _ in found] == [[row, prediction] for row, _, prediction, *_ in expected]
        np.testing.assert_allclose(
            [float(row[2]) for row in found], [max(map(float, row[3:])) for row in expected], atol=1.01e-4
        )
    header, *found = predict(runs["stsb"], "--input", workshop.raw / "STS-B/dev.tsv")
    expected = table((runs["stsb"] / "dev_predictions.tsv").read_text())[1:]
    assert header == ["row", "value"]
    np.testing.assert_allclose([float(row[1]) for row in found], [float(row[2]) for row in expected], atol=1.01e-4)


def test_a_run_in_bfloat16_gives_the_predictions_that_it_gives_later_on(workshop, tmp_path, door, predict):
    train = ("train.py", *options(workshop, "stsb"), "--precision", "bfloat16", "--do_train", "--output_dir", tmp_path)
    assert door(*train).status == 0
    expected = [float(row[2]) for row in table((tmp_path / "dev_predictions.tsv").read_text())[1:]]
    found = [float(row[1]) for row in predict(tmp_path, "--input", workshop.raw / "STS-B/dev.tsv")[1:]]
    np.testing.assert_allclose(found, expected, atol=1.01e-4)
    in_float32 = predict(tmp_path, "--input", workshop.raw / "STS-B/dev.tsv", "--precision", "float32")[1:]
    assert found != [float(row[1]) for row in in_float32]


def test_input_with_and_without_a_header_from_a_file_and_from_standard_input_is_the_same(runs, tmp_path, predict):
    texts = ["the film was lovely", 'it \'s "quoted"', "a dull day"]
    plain, named = (
        "\n".join(texts),
        "\ufeffid\tsentence\n" + "".join(f"{i}\t{text}\r\n" for i, text in enumerate(texts)),
    )
    (tmp_path / "plain.tsv").write_text(plain)
    (tmp_path / "named.tsv").write_text(named)
    expected = predict(runs["sst"], "--input", tmp_path / "plain.tsv")
    assert len(expected) == 4 and [row[1] for row in expected[1:]] == [
        label for label, _ in load_classifier(runs["sst"])(texts)
    ]
    assert predict(runs["sst"], "--input", tmp_path / "named.tsv") == expected
    assert predict(runs["sst"], stdin=plain.encode()) == expected
    assert predict(runs["sst"] / "model", "--output", tmp_path / "out.tsv", stdin=named.encode()) == []
    assert table((tmp_path / "out.tsv").read_text()) == expected


def test_predictions_reach_a_terminal_without_utf8_as_utf8_and_a_closed_one_is_refused(
    runs, tmp_path, refused, monkeypatch
):
    model = renamed(runs["sst"], tmp_path / "model", "sst")
    tasks = (model / "tasks.json").read_text()
    (model / "tasks.json").write_text(tasks.replace('["0", "1"]', '["\u0160patn\u00e9", "dobr\u00e9 \u2192"]'))
    (tmp_path / "in.tsv").write_text("the film was lovely\n")
    screen = io.BytesIO()
    with monkeypatch.context() as patched:
        terminal = io.TextIOWrapper(screen, encoding="latin-1")
        patched.setattr("sys.stdout", terminal)
        patched.setattr("sys.argv", ["predict.py", str(model), "--input", str(tmp_path / "in.tsv")])
        predict_main()
        terminal.flush()
    assert screen.getvalue().decode("utf-8").split("\t")[-2] in ("\u0160patn\u00e9", "dobr\u00e9 \u2192")
    monkeypatch.setattr("sys.stdout", None)
    assert "standard output is closed, expected it open, or --output" in refused("mt_dnn/predict.py", model)


def test_the_order_of_rows_and_their_neighbours_do_not_matter(runs):
    classify, rng = load_classifier(runs["sst"]), np.random.default_rng(0)
    rows = [Row((" ".join(rng.choice(toy.PLAIN + toy.GOOD + toy.BAD, rng.integers(1, 30))),), None) for _ in range(150)]
    together, alone = classify.outputs(rows), np.concatenate([classify.outputs([row]) for row in rows[::10]])
    np.testing.assert_allclose(together[::10], alone, rtol=0, atol=1e-5)


def test_a_call_with_other_than_the_tasks_sentences_is_an_error(runs):
    classify = load_classifier(runs["rte"])
    assert classify([]) == [] and len(classify([("a day", "at sea")])) == 1
    for wrong in (["a day"], "a day", [("a", "b", "c")]):
        with pytest.raises(ValueError, match="each text of 'rte' is sentence1 and sentence2"):
            classify(wrong)
    assert load_classifier(runs["sst"])("a day") == load_classifier(runs["sst"])(["a day"])


def test_bad_input_is_one_line_and_writes_nothing(runs, tmp_path, refused):
    def complaint(run, content, *more):
        (tmp_path / "in.tsv").write_bytes(content)
        line = refused(
            "mt_dnn/predict.py", runs[run], "--input", tmp_path / "in.tsv", "--output", tmp_path / "out.tsv", *more
        )
        assert not (tmp_path / "out.tsv").exists()
        return line

    assert "in.tsv:2: 2 columns, expected 1" in complaint("sst", b"a day\na\tday\n")
    assert "in.tsv:1: 3 columns, expected sentence alone, or a header that names them" in complaint(
        "sst", b"a\tday\tat sea\n"
    )
    assert "in.tsv:1: 1 column, expected 2" in complaint("rte", b"a day\n")
    assert "in.tsv:1: Sentence looks like a header, expected it to name sentence just so" in complaint(
        "sst", b"Sentence\na day\n"
    )
    assert "sentence1, text looks like a header" in complaint("rte", b"sentence1\ttext\na day\tat sea\n")
    assert "in.tsv:1: column 'sentence' stands in the header twice" in complaint("sst", b"sentence\tsentence\na\tb\n")
    assert ": a folder, expected a file of tab-separated rows" in refused(
        "mt_dnn/predict.py", runs["sst"], "--input", tmp_path
    )
    assert ": a folder, expected the name of a file to write" in refused(
        "mt_dnn/predict.py", runs["sst"], "--input", tmp_path / "in.tsv", "--output", tmp_path
    )
    assert "in.tsv:2: column 1 is empty" in complaint("sst", b"a day\n \n")
    assert "in.tsv:2: byte 3 of the line is not UTF-8" in complaint("sst", b"a day\nab\xff\n")
    assert "in.tsv: no usable row" in complaint("sst", b"") and "no usable row" in complaint("sst", b"sentence\n")
    assert "nowhere.tsv: no such file" in refused("mt_dnn/predict.py", runs["sst"], "--input", tmp_path / "nowhere.tsv")
    assert "2 models, expected one" in refused(
        "mt_dnn/predict.py", runs["sst"], runs["rte"], "--input", tmp_path / "in.tsv"
    )
    assert "no model with a tasks.json" in refused("mt_dnn/predict.py", tmp_path, "--input", tmp_path / "in.tsv")


# ---- GLUE ----


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


def test_a_submission_keeps_the_benchmarks_rules(runs, raw, tmp_path, door):
    ended = door(
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
    assert "--glue_format with --input or --task" in complaint(runs["sst"], "--task", "sst")
    assert "--glue_format without --output" in refused("mt_dnn/predict.py", runs["sst"], "--glue_format")
    assert "no test set of 'reviews', expected one of the tasks: cola, sst" in complaint(
        renamed(runs["sst"], tmp_path / "reviews", "reviews")
    )


def renamed(run, folder, name):
    """A copy of a run's model whose task has another name."""
    folder.mkdir()
    for file in (run / "model").iterdir():
        if file.name == "SHA256SUMS":
            continue
        content = file.read_bytes()
        if file.name in ("tasks.json", "mask.json"):
            content = content.replace(b'"sst"', f'"{name}"'.encode())
        if file.name == "model.safetensors":
            from safetensors.torch import load, save

            content = save(
                {key.replace("task_sst", f"task_{name}"): value for key, value in load(content).items()},
                {"format": "pt"},
            )
        (folder / file.name).write_bytes(content)
    return folder


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
