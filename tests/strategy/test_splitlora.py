"""SplitLoRA as data: who trains what in whose batch."""

from dataclasses import replace
from typing import Any

import pytest

from mpiedge.errors import BadInput
from mpiedge.plan.schedule import simulate
from mpiedge.plan.timeline import Pass
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.splitlora import splitlora
from mpiedge.strategy.strategy import Phase
from tests.strategy.test_split import work


def phase(ranks: int = 4, **changes: Any) -> Phase:
    made = replace(
        work(ranks, still=0), trainable=frozenset(range(1, 8)), clients=(2, 3, 2), epoch=7
    )
    (found,) = splitlora(StrategySettings(name="splitlora", **changes), made)
    return found


def test_every_batch_is_one_clients() -> None:
    plan = phase(cuts=[2]).plan
    assert [plan.route(2 * k)[0].rank for k in range(7)] == [1, 2, 3, 1, 2, 3, 2]
    for k in range(7):
        client, server = plan.batch(k).routes[0]
        assert (client.layers, server.layers) == (range(3), range(3, 8))
        assert plan.batch(k).trainers[1] == (client.rank,)
        assert plan.batch(k).trainers[7] == (0,)


def test_what_a_client_trains_does_not_travel() -> None:
    plan = phase(cuts=[2]).plan
    assert plan.apart == {1, 2}
    assert all(not plan.travels(k) for k in range(7))
    shared = replace(plan, apart=frozenset())
    assert any(shared.travels(k) for k in range(7))


def test_gradients_return_to_the_client() -> None:
    schedule = simulate(phase(cuts=[2]).plan, batches=7).schedule
    assert all(sum(a.which is Pass.BACKWARD for a in schedule[rank]) > 0 for rank in (0, 1, 2, 3))


def test_the_whole_model_is_evaluated_on_the_server() -> None:
    found = phase(average_every=9)
    assert [stage.rank for stage in found.evaluated.routes[0]] == [0]
    assert found.average_every == 9


def test_cuts() -> None:
    assert phase().plan.routes[0][0].layers == range(2)
    with pytest.raises(BadInput, match=r"names several cuts, but splitlora averages"):
        phase(cuts=[1, 2, 1])
    with pytest.raises(BadInput, match=r"strategy.cuts \[6\] is not possible: the model has"):
        phase(cuts=[6])


def test_in_parallel_every_batch_has_all_clients() -> None:
    plan = phase(cuts=[2], visits="parallel").plan
    assert [plan.route(m)[0].rank for m in plan.micro_batches] == [1, 2, 3, 1, 2, 3]
    assert plan.cycle == 1
    assert plan.trainers[1] == (1, 2, 3)
    assert plan.trainers[7] == (0,)


def test_in_parallel_devices_compute_at_the_same_time() -> None:
    """As long as a device takes more than its part of the server's time."""
    cost = replace(work(4, still=0).cost)
    plan = phase(cuts=[2], visits="parallel").plan
    spans = simulate(plan, cost, batches=1).spans
    on = {rank: [s for s in spans if s.rank == rank] for rank in (1, 2, 3)}
    assert all(min(s.start for s in on[rank]) == 0.0 for rank in (1, 2, 3))


def test_in_parallel_clients_update_without_each_other() -> None:
    plan = phase(cuts=[2], visits="parallel").plan
    apart = replace(plan, joint_update=False)
    assert [apart.partners[rank] for rank in range(4)] == [frozenset({rank}) for rank in range(4)]
    assert replace(plan, joint_update=True).partners[0] == frozenset(range(4))
