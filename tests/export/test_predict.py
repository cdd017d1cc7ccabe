"""Predictions for one's own text."""

import dataclasses
import io
from types import SimpleNamespace

import numpy as np
import pytest
import toy
from calls import options, renamed, table

from data_utils.tsv import Row
from mt_dnn.export.classifier import load_classifier
from mt_dnn.predict import main as predict_main
from mt_dnn.saved_tasks import SavedTasks, read_saved_tasks


@pytest.fixture
def predict(cli, monkeypatch):
    """Call mt_dnn.predict, maybe with something on standard input; return the rows that it writes."""

    def call(*args, stdin=None):
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        ended = cli("mt_dnn/predict.py", *args)
        assert ended.status == 0, ended.err
        return table(ended.out)

    return call


def test_without_a_folder_for_temporary_files_the_line_names_tmpdir(fine_tuned, tmp_path, refused, monkeypatch):
    def none_is_usable():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    (tmp_path / "rows.tsv").write_text("the film\n")
    monkeypatch.setattr("mt_dnn.export.classifier.tempfile", SimpleNamespace(gettempdir=none_is_usable))
    line = refused("mt_dnn/predict.py", fine_tuned, "--input", tmp_path / "rows.tsv")
    assert "no folder for temporary files, expected one in TMPDIR that can be written" in line


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


def test_each_task_of_a_model_has_rows_as_long_as_it_was_trained_on(workshop, tmp_path, cli, predict):
    prepare = ("--raw_dir", workshop.raw, "--init_checkpoint", workshop.encoder, "--data_dir", tmp_path / "data")
    for task, longest in (("sst", 8), ("rte", 64)):
        assert cli("prepro.py", *prepare, "--tasks", task, "--max_seq_len", longest).status == 0
    train = ("train.py", *options(workshop, "sst,rte"), "--data_dir", tmp_path / "data", "--do_train", "--output_dir")
    assert cli(*train, tmp_path / "out").status == 0
    for task, file in (("sst", "SST-2"), ("rte", "RTE")):
        run = table((tmp_path / f"out/dev_predictions_{task}.tsv").read_text())[1:]
        expected = [max(map(float, row[3:])) for row in run]
        found = predict(tmp_path / "out", "--task", task, "--input", workshop.raw / file / "dev.tsv")[1:]
        np.testing.assert_allclose([float(row[2]) for row in found], expected, atol=1.01e-4)
    assert read_saved_tasks(tmp_path / "out/model").max_seq_len == {"sst": 8, "rte": 64}


def test_the_text_column_of_a_saved_task_may_be_called_label(workshop, tmp_path):
    task = workshop.tasks["sst"]
    layout = dataclasses.replace(task.splits["train"], text=("label",), label="gold")
    SavedTasks("tickets", {"sst": dataclasses.replace(task, splits={"train": layout})}, {"sst": 64}).write(tmp_path)
    assert read_saved_tasks(tmp_path).tasks["sst"].text_names == ("label",)


def test_a_run_in_bfloat16_gives_the_predictions_that_it_gives_later_on(workshop, tmp_path, cli, predict):
    train = ("train.py", *options(workshop, "stsb"), "--precision", "bfloat16", "--do_train", "--output_dir", tmp_path)
    assert cli(*train).status == 0
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
    assert "in.tsv:1: Sentence looks like a header, expected the exact names sentence" in complaint(
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
