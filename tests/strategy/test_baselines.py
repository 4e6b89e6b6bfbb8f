from dataclasses import replace

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.strategy.baselines import data_parallel, pipeline, standalone
from mpiedge.strategy.pac import pac
from mpiedge.strategy.registry import STRATEGIES, strategy
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work


def _work(ranks: int, layers: int = 8, micro_batches: int = 4) -> Work:
    profile = LayerProfile(1.0, 2.0, 10, 1, 1, 8)
    cost = CostModel((profile,) * layers, (Device(1.0, 10**9),) * ranks, Link(1e8, 1e-4))
    return Work(cost, frozenset(range(1, layers)), micro_batches, batches=5)


def test_standalone_is_one_stage() -> None:
    (phase,) = standalone(StrategySettings(), _work(1))
    (route,) = phase.plan.routes
    assert [stage.layers for stage in route] == [range(8)]
    assert phase.batches == 5


def test_standalone_on_two_ranks_is_bad_input() -> None:
    with pytest.raises(BadInput, match="runs on 1 rank, but 2 were started"):
        standalone(StrategySettings(), _work(2))


def test_a_pipeline_covers_all_layers_over_all_ranks() -> None:
    (phase,) = pipeline(StrategySettings(), _work(4))
    (route,) = phase.plan.routes
    assert [stage.rank for stage in route] == [0, 1, 2, 3]
    assert [i for stage in route for i in stage.layers] == list(range(8))
    assert set(phase.plan.trainers) == set(range(1, 8))


def test_a_pipeline_is_cut_as_asked() -> None:
    (phase,) = pipeline(StrategySettings(layers=[1, 5, 2]), _work(3))
    (route,) = phase.plan.routes
    assert [stage.layers for stage in route] == [range(1), range(1, 6), range(6, 8)]
    assert route[0].trainable == frozenset()


@pytest.mark.parametrize("sizes", [[4, 4], [1, 2, 3], [8, 0, 0], [3, 3, 3]])
def test_a_cut_that_does_not_fit_is_bad_input(sizes: list[int]) -> None:
    with pytest.raises(BadInput, match=r"strategy.layers .* ranks started, 3, and 8 in all"):
        pipeline(StrategySettings(layers=sizes), _work(3))


def test_data_parallel_deals_micro_batches_in_turn() -> None:
    (phase,) = data_parallel(StrategySettings(), _work(2, micro_batches=5))
    assert phase.plan.assignment == (0, 1, 0, 1, 0)
    assert phase.plan.trainers[3] == (0, 1)


def test_data_parallel_keeps_to_unequal_shares() -> None:
    (phase,) = data_parallel(StrategySettings(shares=[3.0, 1.0]), _work(2, micro_batches=8))
    assert sorted(phase.plan.assignment) == [0] * 6 + [1] * 2


def test_data_parallel_goes_by_speed_where_no_shares_are_given() -> None:
    work = _work(2, micro_batches=6)
    fast = replace(work, cost=replace(work.cost, devices=(Device(2.0, 10**9), Device(1.0, 10**9))))
    (phase,) = data_parallel(StrategySettings(), fast)
    assert sorted(phase.plan.assignment) == [0] * 4 + [1] * 2


@pytest.mark.parametrize("shares", [[1.0], [1.0, 0.0], [1.0, -1.0]])
def test_shares_that_do_not_fit_are_bad_input(shares: list[float]) -> None:
    with pytest.raises(BadInput, match="strategy.shares"):
        data_parallel(StrategySettings(shares=shares), _work(2))


def test_fewer_micro_batches_than_ranks_is_bad_input() -> None:
    with pytest.raises(BadInput, match="2 micro-batches, fewer than the 3 ranks"):
        data_parallel(StrategySettings(), _work(3, micro_batches=2))


def test_an_unknown_strategy_lists_the_near_one() -> None:
    with pytest.raises(BadInput, match="did you mean pipeline"):
        strategy("pipline")
    assert strategy("pac") is pac
    assert strategy("standalone") is STRATEGIES["standalone"]
