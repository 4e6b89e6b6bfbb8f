"""Ranks as threads are examined together; ranks that cannot meet are examined alone."""

import json
from collections.abc import Callable
from dataclasses import asdict

import pytest

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.doctor import examine as module
from mpiedge.doctor.examine import examine, read
from mpiedge.doctor.links import measure
from mpiedge.errors import BadInput
from tests.doctor.ward import WELL


def refuse(timeout: float, start: float) -> None:
    raise BadInput("they belong to different MPI installations")


def test_every_pair_is_timed_once() -> None:
    def body(transport: Transport) -> list[tuple[int, int]]:
        links = measure(transport)
        assert all(link.latency > 0 and link.bandwidth > 0 for link in links)
        return [(link.first, link.second) for link in links]

    assert run_ranks(3, body) == [[(0, 1), (0, 2)], [(1, 2)], []]


def test_facts_survive_the_journey() -> None:
    assert read(json.loads(json.dumps(asdict(WELL)))) == WELL


def test_a_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "asked_mpi", lambda: WELL.mpi)
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE", raising=False)
    report = examine(5.0)
    assert report is not None
    assert [rank.rank for rank in report.ranks] == [0]
    assert report.ranks[0].mpi == WELL.mpi
    assert report.links == ()


@pytest.mark.parametrize(("rank", "speaks"), [("0", True), ("1", False)])
def test_ranks_that_do_not_see_one_another(
    rank: str, speaks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect: Callable[[float, float], None] = refuse
    monkeypatch.setattr(module, "connect", connect)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", rank)
    report = examine(5.0)
    assert (report is not None) == speaks
    if report is not None:
        assert "different MPI installations" in report.findings[0].problem
        assert "mpiedge launch" in report.findings[0].repair
