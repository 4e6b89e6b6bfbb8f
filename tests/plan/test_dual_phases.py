"""Dual ascent for objective B, which has no duality gap."""

import numpy as np
import pytest

from mpiedge.plan.dual_phases import ascend_phases
from mpiedge.plan.exact_allocation import exact
from tests.plan.tables import small


@pytest.mark.parametrize("seed", range(4))
def test_the_price_of_an_upload_closes_the_gap_at_once(seed: int) -> None:
    for each in small(np.random.default_rng(seed), 15, "B"):
        best, found = exact(each).round_time, ascend_phases(each)
        assert found.allocation.round_time == pytest.approx(best, rel=1e-12)
        assert found.bound == pytest.approx(best, rel=1e-9)
        assert found.steps == 1


@pytest.mark.parametrize("seed", range(4))
def test_ascending_from_nothing_also_arrives(seed: int) -> None:
    steps = 0
    for each in small(np.random.default_rng(50 + seed), 12, "B"):
        best, found = exact(each).round_time, ascend_phases(each, np.zeros_like(each.payload), 200)
        assert found.bound <= best * (1 + 1e-9)
        assert found.allocation.round_time == pytest.approx(best, rel=1e-9)
        assert found.bound >= 0.99 * best
        steps += found.steps
    assert steps > 24


def test_it_ends_after_its_steps() -> None:
    each = next(small(np.random.default_rng(3), 1, "B"))
    assert ascend_phases(each, -100 * np.ones_like(each.payload), 1).steps == 1
