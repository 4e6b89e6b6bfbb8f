"""The schemes by name, against JBBA, which none may beat."""

import numpy as np
import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.bandwidth_shares import Objective
from mpiedge.plan.matching import bottleneck
from mpiedge.plan.schemes import SCHEMES, scheme
from tests.plan.tables import of_matching, problem


@pytest.mark.parametrize("objective", ["A", "B"])
@pytest.mark.parametrize("name", SCHEMES)
def test_no_scheme_is_faster_than_jbba(name: str, objective: Objective) -> None:
    chance = np.random.default_rng(7)
    for seed in range(10):
        each = problem(chance, 8, 5, objective=objective, by_block=bool(seed % 2))
        best, found = scheme("jbba")(each, seed), scheme(name)(each, seed)
        assert found.round_time >= best.round_time * (1 - 1e-9)
        assert found.shares.sum() == pytest.approx(each.budget)
        blocks = found.matching
        assert len(set(blocks.tolist())) == 5
        upload = of_matching(each.payloads, blocks) / found.shares[blocks]
        seconds = of_matching(each.seconds, blocks)
        ends = seconds + upload if objective == "A" else seconds.max() + upload
        assert found.round_time == pytest.approx(ends.max())


@pytest.mark.parametrize("name", ["crunch-equal", "random-equal"])
def test_equal_shares_are_equal(name: str) -> None:
    each = problem(np.random.default_rng(1), 6, 4)
    shares = scheme(name)(each, 0).shares
    assert sorted(shares.tolist()) == pytest.approx([0, 0, *[each.budget / 4] * 4])


def test_crunch_computes_fastest_and_the_random_ones_share_a_matching() -> None:
    each = problem(np.random.default_rng(1), 9, 6)
    found = scheme("crunch")(each, 0).matching
    assert of_matching(each.seconds, found).max() == bottleneck(each.seconds)
    one, other = (scheme(name)(each, 5).matching for name in ("random", "random-equal"))
    assert (one == other).all()
    assert any((one != scheme("random")(each, seed).matching).any() for seed in range(5))


def test_an_unknown_scheme_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BadInput, match="no scheme 'best'; use one of jbba, jbba-dual, crunch,"):
        scheme("best")
