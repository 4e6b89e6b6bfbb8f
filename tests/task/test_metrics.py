import math

import numpy as np
import pytest
from sklearn import metrics

from mpiedge.task.metrics import (
    accuracy,
    accuracy_and_f1,
    accuracy_and_macro_f1,
    correlations,
    matthews,
)

RIGHT = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
FOUND = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0])


def test_accuracy() -> None:
    assert accuracy(FOUND, RIGHT) == {"accuracy": pytest.approx(4 / 6)}


def test_f1_is_of_label_one() -> None:
    # precision 2/3, recall 2/3
    assert accuracy_and_f1(FOUND, RIGHT)["f1"] == pytest.approx(2 / 3)
    flipped = accuracy_and_f1(np.ones(4), np.array([1.0, 0, 0, 0]))
    assert flipped == {"accuracy": 0.25, "f1": pytest.approx(0.4)}


def test_f1_without_any_one_is_zero() -> None:
    assert accuracy_and_f1(np.zeros(3), np.zeros(3)) == {"accuracy": 1.0, "f1": 0.0}


def test_macro_f1_is_the_mean_over_labels() -> None:
    right = np.array([0.0, 0.0, 1.0, 2.0])
    found = np.array([0.0, 0.0, 1.0, 1.0])
    assert accuracy_and_macro_f1(found, right)["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_matthews_correlation_by_its_formula() -> None:
    tp, tn, fp, fn = 2, 2, 1, 1
    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert matthews(FOUND, RIGHT)["matthews"] == pytest.approx(expected)
    assert matthews(np.ones(6), RIGHT)["matthews"] == 0.0


def test_pearson_sees_values_and_spearman_only_ranks() -> None:
    found = correlations(np.array([1.0, 2.0, 3.0, 100.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found["spearman"] == pytest.approx(1.0)
    assert 0.7 < found["pearson"] < 0.8


def test_a_constant_correlates_with_nothing() -> None:
    assert correlations(np.ones(3), np.array([1.0, 2.0, 3.0])) == {"pearson": 0.0, "spearman": 0.0}


@pytest.mark.parametrize("labels", [2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_labels_are_scored_as_scikit_learn_does(labels: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    right = draw.integers(0, labels, 40).astype(float)
    found = np.where(draw.random(40) < 0.6, right, draw.integers(0, labels, 40))
    assert accuracy(found, right)["accuracy"] == pytest.approx(metrics.accuracy_score(right, found))
    macro = metrics.f1_score(right, found, average="macro", zero_division=0.0)
    assert accuracy_and_macro_f1(found, right)["macro_f1"] == pytest.approx(macro)
    assert matthews(found, right)["matthews"] == pytest.approx(
        metrics.matthews_corrcoef(right, found)
    )
    one = metrics.f1_score(right == 1, found == 1, zero_division=0.0)
    assert accuracy_and_f1(found, right)["f1"] == pytest.approx(one)


def test_no_label_at_all_is_matthews_zero() -> None:
    assert matthews(np.zeros(4), np.zeros(4)) == {"matthews": 0.0, "accuracy": 1.0}
