"""How much there is to do, told to a plan as it is told to a run."""

from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.run import planning
from mpiedge.run.extent import Counted, counted
from mpiedge.run.imagined import imagined
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.preparing import prepare
from mpiedge.run.progress import Silent
from mpiedge.strategy.strategy import Phase
from tests.runs import settings

RANKS = 3


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("pipeline", {}),
        ("data-parallel", {}),
        ("ring", {}),
        ("split", {}),
        ("splitlora", {}),
        ("deft", {}),
        ("deft", {"clients": 5, "blocks": 2}),
        ("fedlora", {"local_steps": 2}),
    ],
)
def test_a_plan_alone_is_the_plan_of_a_run(
    name: str, changes: dict[str, Any], bert: Path, requests: Path
) -> None:
    chosen = settings(bert, requests, strategy={"name": name, **changes})
    ran: list[tuple[Phase, ...]] = []

    def body(transport: ThreadTransport) -> None:
        prepared = prepare(open_run(chosen, transport), Journal(None, Silent()))
        if transport.rank == 0:
            ran.append(prepared.phases)
        with prepared.kept():
            transport.close()

    run_ranks(RANKS, body, timeout=60)
    opened = imagined(open_run(chosen, alone(5.0)), RANKS)
    assert planning.plan_run(opened, counted(opened).extent) == ran[0]


def test_clients_examples_are_counted_for_each(bert: Path, requests: Path) -> None:
    found: list[Counted] = []
    chosen = settings(bert, requests, strategy={"name": "ring"})

    def body(transport: ThreadTransport) -> None:
        found.append(counted(open_run(chosen, transport)))
        transport.close()

    run_ranks(2, body, timeout=30)
    assert [each.extent.clients for each in found] == [(2, 2)] * 2
    assert [each.clock.epoch for each in found] == [4, 4]
