"""The official metrics of GLUE.

Apart from the tasks because a metric sees only two columns of numbers.  The first name of each is
what a task is judged by.  Those of labels are counted here: scikit-learn, which has them too and
gives the same numbers, takes 76 MiB of a small board's memory for it, and brings pandas along.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Metric = Callable[[Numbers, Numbers], dict[str, float]]  # predicted, right -> metrics by name


def accuracy(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """The share of right answers."""
    return {"accuracy": float(np.mean(predicted == right))}


def accuracy_and_f1(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Accuracy, and F1 of label 1."""
    return {**accuracy(predicted, right), "f1": _f1(predicted, right, 1)}


def accuracy_and_macro_f1(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Accuracy, and F1 as the mean over the labels that occur."""
    found = [_f1(predicted, right, label) for label in np.union1d(predicted, right)]
    return {**accuracy(predicted, right), "macro_f1": float(np.mean(found))}


def matthews(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Matthews correlation, and accuracy; zero where one side is constant, so undefined.

    For more than two labels the R_K of Gorodkin (2004), as everywhere.
    """
    labels = np.union1d(predicted, right)
    ours, theirs = (one[:, None] == labels for one in (predicted, right))
    spread = _covariance(ours, ours) * _covariance(theirs, theirs)
    found = float(_covariance(ours, theirs) / np.sqrt(spread)) if spread > 0 else 0.0
    return {"matthews": found, **accuracy(predicted, right)}


def correlations(predicted: Numbers, right: Numbers) -> dict[str, float]:
    """Pearson and Spearman correlation; zero where one side is constant, so undefined."""
    # Imported by the rank that scores: it takes 22 MiB.
    from scipy import stats  # noqa: PLC0415

    if np.ptp(predicted) == 0 or np.ptp(right) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(stats.pearsonr(predicted, right).statistic),
        "spearman": float(stats.spearmanr(predicted, right).statistic),
    }


def _f1(predicted: Numbers, right: Numbers, label: float) -> float:
    """Of one label; zero where it occurs on neither side."""
    ours, theirs = predicted == label, right == label
    both = np.sum(ours) + np.sum(theirs)
    return float(2 * np.sum(ours & theirs) / both) if both else 0.0


def _covariance(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Of two columns of labels, each as [rows, labels] with one true a row."""
    centred = [one - one.mean(0) for one in (first, second)]
    return float(np.sum(centred[0] * centred[1]))
