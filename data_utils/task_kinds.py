"""Kinds of tasks: how their labels are read and stored, and their outputs decided, shown and measured.

A new kind is one object in TASK_KINDS, and its loss in `mt_dnn/loss.py`. No other code names a kind.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Generic, Literal, TypeVar

import numpy as np

from data_utils.check import Expectation, both, list_of, one_of, value_that
from data_utils.errors import cut
from data_utils.metrics import Metric, accuracy, compute, f1, matthews, pearson, spearman

LABEL = value_that(
    "a label as the files write it (in quotes if it is a word like yes or no; no tabs, line breaks or outer spaces)",
    lambda label: (
        type(label) is int or (type(label) is str and label.strip() == label != "" and not set(label) & set("\t\n\r"))
    ),
)


Label = TypeVar("Label", bound=int | float)  # a label as it is stored
AnswerType = TypeVar("AnswerType")  # a prediction as a caller of a classifier gets it


class BadLabel(ValueError):
    """A label that a raw file should not have: BadLabel(reason in short, what was expected)."""


class TaskKind(ABC, Generic[Label, AnswerType]):
    """One kind. Its methods get `labels`, the label names that the task's entry lists, in the order of their ids.

    `name`: as `kind` in a task file; `metrics`: those that a task can choose from; `label_type`: numpy's, of stored
    labels; `problem_type`: the name that transformers has for it; `answer_columns`: names of what a prediction shows.
    """

    name: ClassVar[str]
    metrics: ClassVar[Mapping[str, Metric]]
    label_type: ClassVar[str]
    problem_type: ClassVar[Literal["single_label_classification", "regression"]]
    answer_columns: ClassVar[tuple[str, ...]]
    expected_labels: ClassVar[Expectation]

    def expected_metrics(self, labels: tuple[str, ...]) -> Expectation:
        """What `metrics` of a task's entry should be."""
        return list_of(one_of(*self.metrics), at_least=1, distinct=True)

    @abstractmethod
    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The names of the outputs of the task's head, in their order."""

    @abstractmethod
    def parse(self, field: str, labels: tuple[str, ...]) -> Label:
        """Return the label that a field of a raw file holds; raise BadLabel if it holds none."""

    @abstractmethod
    def decide(self, outputs: np.ndarray) -> np.ndarray:
        """Turn outputs (rows, outputs) into predictions (rows,), comparable with stored labels."""

    @abstractmethod
    def constant(self, gold: np.ndarray) -> Label:
        """Return the one answer to all rows that needs no model, from their stored labels `gold`, (rows,)."""

    def measure(self, metrics: Iterable[str], gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        """Return {metric: value} of the predictions of decide(), (rows,), against the stored labels `gold`, (rows,)."""
        return compute({name: self.metrics[name] for name in metrics}, gold, predicted)

    @abstractmethod
    def show(self, label: Label, labels: tuple[str, ...]) -> str:
        """Write a stored label as the raw files do."""

    @abstractmethod
    def prediction_columns(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """The names of what prediction_fields returns."""

    @abstractmethod
    def prediction_fields(self, outputs: np.ndarray, labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        """Yield, for each row of outputs (rows, outputs), the prediction and what is known of it beside."""

    @abstractmethod
    def answers(self, outputs: np.ndarray, labels: tuple[str, ...]) -> list[AnswerType]:
        """Return, for each row of outputs (rows, outputs), the prediction as a caller of a classifier gets it."""

    @abstractmethod
    def answer_fields(self, answer: AnswerType) -> tuple[str, ...]:
        """Write one of answers(), as many fields as `answer_columns`."""


class Classification(TaskKind[int, tuple[str, float]]):
    """One of several classes: an output per class, the highest is chosen."""

    name = "classification"
    metrics = {"accuracy": accuracy, "f1": f1, "matthews": matthews}
    label_type = "int64"
    problem_type = "single_label_classification"
    answer_columns = ("label", "probability")
    expected_labels = both(
        list_of(LABEL),
        value_that("two or more different labels", lambda labels: len(set(map(str, labels))) == len(labels) >= 2),
    )

    def expected_metrics(self, labels: tuple[str, ...]) -> Expectation:
        return both(
            super().expected_metrics(labels),
            value_that(
                "f1 for two labels only (the second counts as positive)",
                lambda metrics: "f1" not in metrics or len(labels) == 2,
            ),
        )

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        return labels

    def parse(self, field: str, labels: tuple[str, ...]) -> int:
        if field not in labels:
            raise BadLabel("unknown label", f"one of: {cut(', '.join(labels))}")
        return labels.index(field)

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        return outputs.argmax(1)

    def constant(self, gold: np.ndarray) -> int:
        """The most frequent class; of equally frequent ones the first."""
        return int(np.bincount(gold).argmax())

    def show(self, label: int, labels: tuple[str, ...]) -> str:
        return labels[label]

    def prediction_columns(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        return ("prediction", *(f"p({label})" for label in labels))

    def prediction_fields(self, outputs: np.ndarray, labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for choice, probabilities in zip(self.decide(outputs), self._probabilities(outputs)):
            yield labels[choice], *(f"{probability:.4f}" for probability in probabilities)

    def answers(self, outputs: np.ndarray, labels: tuple[str, ...]) -> list[tuple[str, float]]:
        """Return [(label, its probability)]."""
        highest = self._probabilities(outputs).max(1).tolist()
        return [(labels[choice], probability) for choice, probability in zip(self.decide(outputs), highest)]

    def answer_fields(self, answer: tuple[str, float]) -> tuple[str, ...]:
        label, probability = answer
        return label, f"{probability:.4f}"

    def _probabilities(self, outputs: np.ndarray) -> np.ndarray:
        import torch

        return torch.from_numpy(outputs).softmax(1).numpy()


class Regression(TaskKind[float, float]):
    """A number: one output, which is the prediction."""

    name = "regression"
    metrics = {"pearson": pearson, "spearman": spearman}
    label_type = "float64"
    problem_type = "regression"
    answer_columns = ("value",)
    expected_labels = value_that("no labels for a regression", lambda labels: labels == [])
    number = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # float() takes 1_0 and other digits too
    largest = 1e15  # so that the squared error, and the square of its gradient's norm, are finite in float32

    def output_names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        return ("value",)

    def parse(self, field: str, labels: tuple[str, ...]) -> float:
        if not self.number.fullmatch(field):
            raise BadLabel("not a number", "a number")
        if abs(value := float(field)) > self.largest:
            raise BadLabel("too large", f"a number from -{self.largest:.0e} to {self.largest:.0e}")
        return value

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[:, 0]

    def constant(self, gold: np.ndarray) -> float:
        """The mean."""
        return float(np.mean(gold))

    def show(self, label: float, labels: tuple[str, ...]) -> str:
        return f"{label:.15g}"  # a float64 has 15 reliable digits

    def prediction_columns(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        return ("prediction",)

    def prediction_fields(self, outputs: np.ndarray, labels: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        return (self.answer_fields(value) for value in self.decide(outputs))

    def answers(self, outputs: np.ndarray, labels: tuple[str, ...]) -> list[float]:
        """Return [value]."""
        return self.decide(outputs).tolist()

    def answer_fields(self, answer: float) -> tuple[str, ...]:
        return (f"{answer:.7g}",)  # a float32 has about 7 digits


TASK_KINDS: dict[str, TaskKind] = {kind.name: kind for kind in (Classification(), Regression())}
