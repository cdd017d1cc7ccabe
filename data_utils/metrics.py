"""Metrics: scikit-learn's and scipy's. The libraries are loaded when a metric is computed.

Each takes gold labels and predictions (class ids or values, arrays of shape (rows,)) and returns a number between
-1 and 1, the higher the better, or nan where it is undefined. A kind of task names those that it takes
(task_kinds.py). ERRORS in mt_dnn/reports/baseline.py has the sampling errors of those that are not correlations.
"""

import math
import warnings
from collections.abc import Callable, Mapping
from statistics import fmean

import numpy as np

Metric = Callable[[np.ndarray, np.ndarray], float]


def accuracy(gold: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import accuracy_score

    return accuracy_score(gold, predicted)


def f1(gold: np.ndarray, predicted: np.ndarray) -> float:
    """F1 of class 1, for two classes; 0 where no row is of class 1 and none is predicted to be."""
    from sklearn.metrics import f1_score

    return f1_score(gold, predicted, zero_division=0)  # type: ignore


def matthews(gold: np.ndarray, predicted: np.ndarray) -> float:
    from sklearn.metrics import matthews_corrcoef

    return matthews_corrcoef(gold, predicted)


def pearson(gold: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import pearsonr

    return pearsonr(gold, predicted).statistic if len(gold) > 1 else math.nan  # type: ignore


def spearman(gold: np.ndarray, predicted: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return spearmanr(gold, predicted).statistic if len(gold) > 1 else math.nan  # type: ignore


def compute(metrics: Mapping[str, Metric], gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return {name: value} for `metrics`, {name: function}.

    A correlation of a single row, or with constant predictions, is undefined; it counts as 0, as that of a model that
    knows nothing.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*constant.*")
        values = {name: float(metric(gold, predicted)) for name, metric in metrics.items()}
    return {name: 0.0 if math.isnan(value) else value for name, value in values.items()}


def average_score(dev: Mapping[str, Mapping[str, Mapping[str, float]]]) -> float:
    """Return the GLUE average of {task: {dev set: {metric: value}}}: the mean over tasks of the mean over a task's
    dev sets of the mean over a dev set's metrics.

    It is the "Avg Score" of the paper's tables: each of the four published ones follows from its row.
    """
    return fmean(fmean(fmean(metrics.values()) for metrics in dev_sets.values()) for dev_sets in dev.values())
