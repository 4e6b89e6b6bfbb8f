"""The official metrics of GLUE, by scikit-learn and scipy.

Apart from the tasks because a metric sees only two columns of numbers.  The first name of each is
what a task is judged by.  Both libraries are imported by the rank that scores: they take 100 MB.
"""

# ruff: noqa: PLC0415

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Metric = Callable[[Numbers, Numbers], dict[str, float]]  # predicted, right -> metrics by name


def accuracy(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """The share of right answers."""
    from sklearn import metrics

    return {"accuracy": float(metrics.accuracy_score(right, predicted))}


def accuracy_and_f1(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Accuracy, and F1 of label 1."""
    from sklearn import metrics

    f1 = metrics.f1_score(right, predicted, pos_label=1, zero_division=0.0)
    return {**accuracy(predicted, right), "f1": float(f1)}


def accuracy_and_macro_f1(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Accuracy, and F1 as the mean over the labels that occur."""
    from sklearn import metrics

    f1 = metrics.f1_score(right, predicted, average="macro", zero_division=0.0)
    return {**accuracy(predicted, right), "macro_f1": float(f1)}


def matthews(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Matthews correlation, and accuracy."""
    from sklearn import metrics

    found = {"matthews": float(metrics.matthews_corrcoef(right, predicted))}
    return {**found, **accuracy(predicted, right)}


def correlations(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Pearson and Spearman correlation; zero where one side is constant, so undefined."""
    from scipy import stats

    if np.ptp(predicted) == 0 or np.ptp(right) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(stats.pearsonr(predicted, right).statistic),
        "spearman": float(stats.spearmanr(predicted, right).statistic),
    }
