"""Metrics by name: scikit-learn's and scipy's, with the libraries loaded when a metric is asked for.

Each takes gold labels and predictions (class ids or values, arrays of shape (rows,)) and
returns a number between -1 and 1.
"""

import math


def _accuracy(gold, predicted):
    from sklearn.metrics import accuracy_score

    return accuracy_score(gold, predicted)


def _f1(gold, predicted):
    from sklearn.metrics import f1_score

    return f1_score(gold, predicted, zero_division=0)


def _matthews(gold, predicted):
    from sklearn.metrics import matthews_corrcoef

    return matthews_corrcoef(gold, predicted)


def _pearson(gold, predicted):
    from scipy.stats import pearsonr

    return pearsonr(gold, predicted).statistic


def _spearman(gold, predicted):
    from scipy.stats import spearmanr

    return spearmanr(gold, predicted).statistic


METRICS = {
    "classification": {"accuracy": _accuracy, "f1": _f1, "matthews": _matthews},
    "regression": {"pearson": _pearson, "spearman": _spearman},
}


def average_score(dev):
    """Return the GLUE average of {task: {dev set: {metric: value}}}: the mean over tasks of the mean over a task's dev sets
    of the mean over a dev set's metrics.

    It is the "Avg Score" of the paper's tables: each of the four published ones follows from its row.
    """

    def mean(values):
        values = list(values)
        return sum(values) / len(values)

    return mean(mean(mean(metrics.values()) for metrics in own.values()) for own in dev.values())


def compute(task, gold, predicted):
    """Return {name: value} for the metrics of `task`.

    A correlation with constant predictions, or of a single row, is undefined; it counts as 0, as for a
    model that knows nothing.
    """
    if task.kind == "regression" and len(gold) < 2:
        return dict.fromkeys(task.metrics, 0.0)
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*constant.*")
        values = {name: float(METRICS[task.kind][name](gold, predicted)) for name in task.metrics}
    return {name: 0.0 if math.isnan(value) else value for name, value in values.items()}
