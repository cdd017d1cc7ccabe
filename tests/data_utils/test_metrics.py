"""Each metric by its definition, and the average score of the multi-task table."""

import numpy as np
import pytest

from data_utils.metrics import average_score
from data_utils.task_kinds import TASK_KINDS


def test_metrics_of_classes_are_those_of_their_definitions():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 50)
    predicted = np.where(rng.random(50) < 0.3, 1 - gold, gold)
    true_positives, positives = int((gold & predicted).sum()), int(gold.sum() + predicted.sum())
    assert TASK_KINDS["classification"].measure(["accuracy", "f1", "matthews"], gold, predicted) == {
        "accuracy": pytest.approx(np.mean(gold == predicted)),
        "f1": pytest.approx(2 * true_positives / positives),
        "matthews": pytest.approx(np.corrcoef(gold, predicted)[0, 1]),  # the phi coefficient
    }


def test_metrics_of_numbers_are_those_of_their_definitions():
    gold = np.random.default_rng(0).normal(size=50)
    predicted = np.exp(gold) + np.random.default_rng(1).normal(size=50)
    ranks = [values.argsort().argsort() for values in (gold, predicted)]
    assert TASK_KINDS["regression"].measure(["pearson", "spearman"], gold, predicted) == {
        "pearson": pytest.approx(np.corrcoef(gold, predicted)[0, 1]),
        "spearman": pytest.approx(np.corrcoef(ranks)[0, 1]),
    }


@pytest.mark.parametrize(
    "row, published",
    [
        ([84.6, 84.2, 90.5, 90.6, 87.4, 92.2, 80.6, 86.2, 54.0, 86.2, 86.4, 79.0], 82.4),
        ([84.5, 84.1, 91.0, 90.7, 87.5, 92.7, 87.0, 90.5, 52.0, 87.7, 87.5, 81.2], 83.3),
        ([86.5, 86.0, 92.2, 91.2, 88.1, 93.5, 85.2, 89.4, 56.2, 87.2, 86.9, 83.0], 84.4),
        ([86.7, 86.0, 92.1, 91.3, 88.4, 93.2, 88.4, 91.5, 61.8, 89.2, 89.1, 80.5], 85.4),
    ],
)
def test_average_score_is_that_of_the_papers_table(row, published):
    matched, mismatched, qnli, qqp, qqp_f1, sst, mrpc, mrpc_f1, cola, pearson, spearman, rte = row
    score = average_score(
        {
            "mnli": {"matched": {"accuracy": matched}, "mismatched": {"accuracy": mismatched}},
            "qnli": {"qnli": {"accuracy": qnli}},
            "qqp": {"qqp": {"accuracy": qqp, "f1": qqp_f1}},
            "sst": {"sst": {"accuracy": sst}},
            "mrpc": {"mrpc": {"accuracy": mrpc, "f1": mrpc_f1}},
            "cola": {"cola": {"matthews": cola}},
            "stsb": {"stsb": {"pearson": pearson, "spearman": spearman}},
            "rte": {"rte": {"accuracy": rte}},
        }
    )
    assert score == pytest.approx(published, abs=0.051)  # the cells are rounded
