"""What a kind of task decides: labels, predictions, metrics, and its loss; and a new kind."""

import math
import re

import numpy as np
import pytest
import torch
import toy
from calls import QUICK, options, result_of

from data_utils.metrics import accuracy
from data_utils.task_kinds import TASK_KINDS, BadLabel, Regression
from mt_dnn import loss
from mt_dnn.loss import LOSSES

CLASSES, NUMBERS = TASK_KINDS["classification"], TASK_KINDS["regression"]


def test_every_kind_has_its_loss():
    assert LOSSES.keys() == TASK_KINDS.keys()


def test_the_loss_of_a_regression_is_the_squared_error_of_each_row():
    outputs, values = torch.tensor([[3.0], [1.0]]), torch.tensor([1.0, 4.0])
    assert LOSSES["regression"](outputs, values).tolist() == [4, 9]


@pytest.mark.parametrize(
    "field, value", [("4", 4.0), ("-.5", -0.5), ("+2.", 2.0), ("1.25e-3", 0.00125), ("1E15", 1e15)]
)
def test_numbers_as_people_write_them_are_labels_of_a_regression(field, value):
    assert NUMBERS.parse(field, ()) == value


@pytest.mark.parametrize(
    "field, complaint",
    [
        *(
            (field, ("not a number", "a number"))
            for field in ("1_0", "\uff11\uff10", "\u0664", "nan", "inf", "", "0x10", "1,5", "1e", "1 0")
        ),
        *((field, ("too large", "a number from -1e+15 to 1e+15")) for field in ("1e300", "-1e16", "1e999", "9" * 5000)),
    ],
)
def test_what_python_alone_would_take_for_a_number_is_no_label(field, complaint):
    with pytest.raises(BadLabel) as bad:
        NUMBERS.parse(field, ())
    assert bad.value.args == complaint


def test_the_largest_label_has_a_finite_loss_and_gradient_in_float32():
    outputs = torch.zeros(1, 1, requires_grad=True)
    row_loss = LOSSES["regression"](outputs, torch.tensor([Regression.largest], dtype=torch.float64))
    row_loss.sum().backward()
    assert (10**6 * row_loss).isfinite().all()  # as the sum over an epoch
    assert (1000 * outputs.grad**2).isfinite().all()  # as the norm of the gradient of a head's weights


def test_a_class_is_parsed_shown_and_decided_by_its_place_among_the_labels():
    labels = ("no", "yes", "maybe")
    outputs = np.array([[0, 2, 1], [3, 0, 0]], np.float32)
    assert [CLASSES.parse(label, labels) for label in labels] == [0, 1, 2]
    assert [CLASSES.show(i, labels) for i in range(3)] == list(labels)
    assert CLASSES.decide(outputs).tolist() == [1, 0]
    assert CLASSES.prediction_columns(labels) == ("prediction", "p(no)", "p(yes)", "p(maybe)")
    probability = math.exp(2) / (1 + math.exp(2) + math.e)
    (label, shown), _ = CLASSES.answers(outputs, labels)
    assert label == "yes" and shown == pytest.approx(probability)
    assert next(CLASSES.prediction_fields(outputs, labels))[::2] == ("yes", f"{probability:.4f}")
    with pytest.raises(BadLabel, match="one of: no, yes, maybe"):
        CLASSES.parse("Yes", labels)


def test_a_stored_value_is_shown_as_the_raw_file_has_it():
    for field in ("3.8", "5", "12345.678", "-0.25", "1e-07"):
        assert NUMBERS.show(NUMBERS.parse(field, ()), ()) == field


def test_a_correlation_of_a_single_row_or_of_equal_predictions_counts_as_zero():
    for gold, predicted in (([1.0], [2.0]), ([1.0, 2.0], [3.0, 3.0])):
        assert NUMBERS.measure(["pearson", "spearman"], np.array(gold), np.array(predicted)) == {
            "pearson": 0,
            "spearman": 0,
        }


class Grades(Regression):
    """A new kind, as a student might add it: labels are the grades A to D, learned as numbers."""

    name = "grades"
    metrics = {"accuracy": accuracy, **Regression.metrics}
    label_type = "int64"
    answer_columns = ("grade",)

    def parse(self, field, labels):
        if not re.fullmatch("[A-D]", field):
            raise BadLabel("no grade", "a grade from A to D")
        return "ABCD".index(field)

    def decide(self, outputs):
        return np.clip(np.rint(outputs[:, 0]), 0, 3).astype(int)

    def show(self, label, labels):
        return "ABCD"[label]

    def prediction_fields(self, outputs, labels):
        return ((self.show(label, labels),) for label in self.decide(outputs))

    def answers(self, outputs, labels):
        return [self.show(label, labels) for label in self.decide(outputs)]

    def answer_fields(self, answer):
        return (answer,)


ESSAYS = """
essays:
  kind: grades
  metrics: [accuracy, spearman]
  text: [sentence]
  label: grade
  splits: {train: train.tsv, dev: dev.tsv}
"""


def test_a_new_kind_is_one_object_and_its_loss(tmp_path, workshop, monkeypatch, cli, refused, exported):
    monkeypatch.setitem(TASK_KINDS, "grades", Grades())
    monkeypatch.setitem(loss.LOSSES, "grades", loss.squared_error)
    (tmp_path / "tasks.yml").write_text(ESSAYS)
    rows = [f"{' '.join(toy.GOOD[:n] or ['dull'])}\t{'ABCD'[n]}\n" for n in range(4)]
    for split in ("train", "dev"):
        (tmp_path / f"{split}.tsv").write_text("sentence\tgrade\n" + "".join(10 * rows))
    paths = ("--task_def", tmp_path / "tasks.yml", "--data_dir", tmp_path / "data")
    prepro = ("prepro.py", *paths, "--raw_dir", tmp_path, "--init_checkpoint", workshop.encoder)
    assert cli(*prepro).status == 0
    run = tmp_path / "run"
    train = ("train.py", *options(workshop, "essays"), *QUICK, *paths, "--output_dir", run, "--sparsities", 0.5)
    ended = cli(*train, "--do_train", "--do_mask")
    assert ended.status == 0, ended.err
    assert result_of(run)["dev"]["essays"].keys() == {"accuracy", "spearman"}
    lines = [line.split("\t") for line in (run / "dev_predictions.tsv").read_text().splitlines()]
    assert lines[0] == ["row", "label", "prediction"] and [line[1] for line in lines[1:5]] == list("ABCD")
    accuracy_shown = np.mean([line[1] == line[2] for line in lines[1:]])
    assert result_of(run)["dev"]["essays"]["accuracy"] == pytest.approx(accuracy_shown)
    for export in ("zeroed", "compact"):
        exported(run, export)
    (tmp_path / "texts").write_text("good great\n")
    predicted = [
        cli("mt_dnn/predict.py", place, "--input", tmp_path / "texts").out
        for place in (run, run / "export/zeroed", run / "export/compact")
    ]
    assert re.fullmatch("row\tgrade\n0\t[A-D]\n", predicted[0]) and predicted == predicted[:1] * 3
    (tmp_path / "dev.tsv").write_text("sentence\tgrade\na film\tE\n")
    assert "dev.tsv:2: label 'E', expected a grade from A to D" in refused(*prepro)
