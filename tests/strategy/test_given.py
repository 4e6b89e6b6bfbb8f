import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.strategy.given import given_groups, given_stages, shares_of
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work


def _work(ranks: int = 4, micro_batches: int = 4, layers: int = 8) -> Work:
    profile = LayerProfile(1.0, 2.0, 10, 1, 1, 8)
    devices = tuple(Device(1.0 + rank, 10**9) for rank in range(ranks))
    cost = CostModel((profile,) * layers, devices, Link(1e8, 1e-4))
    return Work(cost, frozenset(range(layers)), micro_batches, batches=5)


def test_groups_are_lists_of_ranks() -> None:
    settings = StrategySettings(groups=["2, 0", "1", "3"])
    assert given_groups(settings, _work()) == ((2, 0), (1,), (3,))
    assert given_groups(StrategySettings(), _work()) == ()


@pytest.mark.parametrize("groups", [["0,1"], ["0,1", "2,3,3"], ["0,1", "2,4"], ["0,1,2,3", "3"]])
def test_groups_name_every_rank_once(groups: list[str]) -> None:
    with pytest.raises(BadInput, match=r"strategy.groups .* ranks started, 0..3, exactly once"):
        given_groups(StrategySettings(groups=groups), _work())


@pytest.mark.parametrize("written", ["", "a", "0-3", "0,,1", "[0]"])
def test_what_is_no_list_of_ranks_is_shown(written: str) -> None:
    with pytest.raises(BadInput, match=f"strategy.groups has '{written}'".replace("[", r"\[")):
        given_groups(StrategySettings(groups=[written]), _work())


def test_a_group_has_no_more_ranks_than_there_are_micro_batches() -> None:
    with pytest.raises(BadInput, match="a group of 3 ranks, and a batch has 2 micro-batches"):
        given_groups(StrategySettings(groups=["0,1,2", "3"]), _work(micro_batches=2))


def test_more_stages_than_layers() -> None:
    with pytest.raises(BadInput, match="4 stages, more than the model's 3 layers"):
        given_groups(StrategySettings(groups=["0", "1", "2", "3"]), _work(layers=3))


def test_layers_of_stages() -> None:
    assert given_stages(StrategySettings(), _work()) == ()
    assert given_stages(StrategySettings(layers=[3, 5]), _work()) == (range(3), range(3, 8))


@pytest.mark.parametrize("layers", [[4, 3], [8, 0], [9, -1], [2, 2, 2, 1, 1]])
def test_layers_that_do_not_sum_up(layers: list[int]) -> None:
    with pytest.raises(BadInput, match=r"strategy.layers .* 8 in all"):
        given_stages(StrategySettings(layers=layers), _work())


def test_as_many_groups_as_runs_of_layers() -> None:
    settings = StrategySettings(layers=[4, 4], groups=["0,1,2,3"])
    with pytest.raises(BadInput, match=r"names 2 stages and strategy.groups \['0,1,2,3'\] 1;"):
        given_stages(settings, _work())


def test_shares_left_out_go_by_speed() -> None:
    assert shares_of(StrategySettings(), _work(3)) == [1.0, 2.0, 3.0]
    assert shares_of(StrategySettings(shares=[1, 1, 5]), _work(3)) == [1, 1, 5]
