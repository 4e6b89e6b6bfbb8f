"""Devices that are not here."""

from pathlib import Path

import pytest

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.errors import BadInput
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import open_run
from mpiedge.run.planning import cost_of
from tests.runs import settings


def test_each_imagined_device_has_all_that_this_one_has(bert: Path, requests: Path) -> None:
    opened = open_run(settings(bert, requests), alone(5.0))
    assert imagined(opened, 0).hosts == opened.hosts
    cost = cost_of(imagined(opened, 3))
    assert [device.memory for device in cost.devices] == [opened.host.free_memory] * 3


def test_there_are_as_many_clients_as_there_would_be(bert: Path, requests: Path) -> None:
    deft = {"name": "deft", "server_has_data": False}
    opened = open_run(settings(bert, requests, strategy=deft), alone(5.0))
    assert imagined(opened, 4).settings.strategy.clients == 3
    assert imagined(opened, 0).settings.strategy.clients == 1
    opened = open_run(settings(bert, requests, strategy={"name": "ring"}), alone(5.0))
    assert imagined(opened, 4).settings.strategy.clients == 4


def test_ranks_that_were_started_are_not_imagined(bert: Path, requests: Path) -> None:
    said: list[str] = []

    def body(transport: ThreadTransport) -> None:
        opened = open_run(settings(bert, requests, strategy={"name": "pipeline"}), transport)
        assert imagined(opened, 2).hosts == imagined(opened, 0).hosts == opened.hosts
        with pytest.raises(BadInput) as bad:
            imagined(opened, 3)
        said.append(str(bad.value))
        transport.close()

    run_ranks(2, body, timeout=30)
    assert (
        said
        == ["--ranks 3 is not the 2 ranks that were started; leave it out, or plan without mpirun"]
        * 2
    )
