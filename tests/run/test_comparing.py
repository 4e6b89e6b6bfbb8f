"""A run's first round by every scheme."""

import json
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import alone
from mpiedge.errors import BadInput
from mpiedge.plan.schemes import SCHEMES
from mpiedge.run.allotting import Allotting, Work
from mpiedge.run.comparing import Round, as_values, first_round
from mpiedge.run.extent import counted
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import Opened, open_run
from mpiedge.strategy.strategy import Rounds
from tests.runs import settings

UNEQUAL = {"speeds": [1.0, 0.5, 1.0, 2.0], "uplinks": [1e6, 4e6, 2e6]}


def opened_for(bert: Path, requests: Path, **changes: Any) -> Opened:
    strategy = {"name": "deft", **UNEQUAL, **changes}
    return imagined(open_run(settings(bert, requests, strategy=strategy), alone(5.0)), 4)


def planned(opened: Opened) -> Round:
    extent = counted(opened).extent
    return first_round(opened, len(extent.clients), extent.micro_batches)


def test_the_chosen_scheme_is_the_first_round_of_the_run(bert: Path, requests: Path) -> None:
    for changes in ({}, {"allocation": "sum"}, {"allocation": "random-equal"}):
        opened = opened_for(bert, requests, **changes)
        extent = counted(opened).extent
        one = planned(opened)
        answer = one.found.answer.allotment
        assert answer is not None
        run = Allotting(opened, Rounds.GRADIENTS, (8, 8, 8), Work(9, extent.micro_batches))
        tasks = run.tasks(0, frozenset())
        blocks = {task.client: run.blocks.index(task.layers[:-1]) for task in tasks}
        assert blocks == {k: b for k, b in enumerate(answer.blocks) if b >= 0}
        assert {task.client: task.rank for task in tasks} == dict(enumerate(one.homes))


def test_it_is_written_as_plain_values(bert: Path, requests: Path) -> None:
    values = json.loads(json.dumps(as_values(planned(opened_for(bert, requests)))))
    assert values["blocks"] == [[3], [2], [1]]
    assert [client["rank"] for client in values["clients"]] == [1, 2, 3]
    assert [client["uplink"] for client in values["clients"]] == [1e6, 4e6, 2e6]
    assert len(values["seconds"]) == len(values["upload_seconds"]) == len(values["fits"]) == 3
    assert values["memory_bytes"] == sorted(values["memory_bytes"])
    assert list(values["schemes"]) == [*SCHEMES, "fedlora"]
    jbba = values["schemes"]["jbba"]
    assert sorted(jbba["clients_of_block"]) == [[0], [1], [2]]
    assert jbba["block_of_client"][jbba["clients_of_block"][0][0]] == 0
    assert values["schemes"]["fedlora"]["steps"] == 10


def test_a_client_without_a_link(bert: Path, requests: Path) -> None:
    opened = opened_for(bert, requests, uplinks=[1e6, 0.0, 2e6], blocks=2)
    values = as_values(planned(opened))
    assert values["upload_seconds"][1] == [None, None]
    assert values["schemes"]["jbba"]["block_of_client"][1] == -1
    assert values["schemes"]["fedlora"]["round_seconds"] is None


def test_more_blocks_than_clients_is_said_by_every_scheme(bert: Path, requests: Path) -> None:
    opened = opened_for(bert, requests, clients=2, uplinks=[], blocks=3)
    values = as_values(planned(opened))
    assert all(values["schemes"][name]["round_seconds"] is None for name in SCHEMES)
    assert "3 blocks are more than the 2 devices" in values["schemes"]["jbba"]["trouble"]


def test_other_strategies_have_no_rounds(bert: Path, requests: Path) -> None:
    opened = opened_for(bert, requests, name="pipeline")
    with pytest.raises(BadInput, match="strategy pipeline has no rounds"):
        first_round(opened, 3, 4)
