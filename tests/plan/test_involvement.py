"""The involvement against a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import minimize

from mpiedge.plan.involvement import involvement


def _objective(q: np.ndarray, alpha: np.ndarray, nu: np.ndarray) -> float:
    return float((alpha * q).sum() ** 2 - (nu * q).sum())


@pytest.mark.parametrize("seed", range(60))
def test_no_involvement_has_a_smaller_value(seed: int) -> None:
    chance = np.random.default_rng(seed)
    size = int(chance.integers(1, 9))
    count = int(chance.integers(1, size + 1))
    alpha, nu = (
        chance.uniform(0, 1, size),
        chance.normal(scale=chance.choice([0, 0.3, 3]), size=size),
    )
    q, value = involvement(alpha[:, None], nu[:, None], count)
    assert q.shape == (size, 1)
    assert (q >= 0).all()
    assert (q <= 1).all()
    assert q.sum() == pytest.approx(count)
    assert value == pytest.approx(_objective(q[:, 0], alpha, nu), abs=1e-9)
    found = minimize(
        _objective,
        np.full(size, count / size),
        args=(alpha, nu),
        bounds=[(0, 1)] * size,
        constraints=[{"type": "eq", "fun": lambda q: q.sum() - count}],
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert value == pytest.approx(found.fun, abs=1e-6)


def test_as_many_as_there_are_are_all_involved() -> None:
    q, value = involvement(np.array([[0.5], [0.25]]), np.array([[1.0], [2.0]]), 2)
    assert q.tolist() == [[1.0], [1.0]]
    assert value == 0.75**2 - 3.0


def test_what_cannot_be_involved_is_not() -> None:
    alpha, nu = np.array([[0.1, np.inf], [0.9, 0.8]]), np.array([[0.0, 99.0], [0.0, 0.0]])
    q = involvement(alpha, nu, 3).q
    assert q.tolist() == [[1.0, 0.0], [1.0, 1.0]]
