"""Ranks that cannot run together: each of them says so, in the same one line."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import check_same
from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.progress import Silent
from mpiedge.run.training import prepare
from tests.models import save_tiny
from tests.runs import settings, write_requests


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("bad") / "bert")


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("bad") / "requests", rows=12)


@pytest.fixture
def good(bert: Path, requests: Path) -> RunSettings:
    return settings(bert, requests)


def refused(ranks: int, on: Callable[[Transport], RunSettings]) -> list[str]:
    """What each rank raises when the run is prepared: bad input, on all of them."""

    def body(transport: Transport) -> str:
        with pytest.raises(BadInput) as bad:
            prepare(open_run(on(transport), transport), Journal(None, Silent()))
        return str(bad.value)

    said = run_ranks(ranks, body, timeout=20)
    assert len(set(said)) == 1
    assert "\n" not in said[0]
    return said


def test_more_ranks_than_layers(good: RunSettings) -> None:
    pipeline = replace(good, strategy=replace(good.strategy, name="pipeline"))
    (said, *_) = refused(5, lambda transport: pipeline)
    assert "5 ranks are more than the model's 4 layers" in said


def test_more_ranks_than_micro_batches(good: RunSettings) -> None:
    parallel = replace(good, strategy=replace(good.strategy, name="data-parallel"))
    (said, *_) = refused(5, lambda transport: parallel)
    assert "a batch has 4 micro-batches, fewer than the 5 ranks" in said


def test_standalone_on_several_ranks(good: RunSettings) -> None:
    assert "strategy standalone runs on 1 rank, but 2" in refused(2, lambda transport: good)[0]


def test_ranks_with_different_run_files(good: RunSettings) -> None:
    def own(transport: Transport) -> RunSettings:
        rate = 0.1 if transport.rank == 2 else 0.2
        return replace(good, training=replace(good.training, learning_rate=rate))

    (said, *_) = refused(3, own)
    assert said == (
        "training.learning_rate is 0.1 on rank 2 but 0.2 on rank 0; "
        "give every rank the same run file"
    )


def test_ranks_with_different_versions(good: RunSettings, monkeypatch: pytest.MonkeyPatch) -> None:

    def aged(transport: Transport, what: str, value: str, repair: str) -> None:
        if transport.rank in (1, 2) and "version" in what:
            value = "0.0.9"
        check_same(transport, what, value, repair)

    monkeypatch.setattr("mpiedge.run.opening.check_same", aged)
    (said, *_) = refused(3, lambda transport: good)
    assert said.startswith("the version of mpiedge is '0.0.9' on ranks 1, 2 but '")


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ranks have run files of their own, as devices have files of their own."""
    monkeypatch.setattr("mpiedge.run.opening.check_same_values", lambda *_: None)


def with_data(good: RunSettings, strategy: str, other: Path) -> Callable[[Transport], RunSettings]:
    """Settings under which rank 1 finds other data than rank 0."""

    def own(transport: Transport) -> RunSettings:
        task = replace(good.task, data=str(other)) if transport.rank == 1 else good.task
        return replace(good, task=task, strategy=replace(good.strategy, name=strategy))

    return own


@pytest.mark.usefixtures("apart")
def test_a_rank_that_needs_the_data_and_has_none(good: RunSettings, tmp_path: Path) -> None:
    (said, *_) = refused(2, with_data(good, "data-parallel", tmp_path / "gone"))
    assert said.startswith(f"rank 1 on {os.uname().nodename}: ")
    assert str(tmp_path / "gone") in said


@pytest.mark.usefixtures("apart")
def test_a_rank_whose_data_is_another(good: RunSettings, tmp_path: Path) -> None:
    other = write_requests(tmp_path / "other", rows=13)
    (said, *_) = refused(2, with_data(good, "data-parallel", other))
    assert "ranks [1] read other examples than rank 0; copy the same files" in said


@pytest.mark.usefixtures("apart")
def test_a_rank_where_no_route_starts_needs_no_data(good: RunSettings, tmp_path: Path) -> None:
    own = with_data(good, "pipeline", tmp_path / "gone")

    def body(transport: Transport) -> int:
        return len(
            prepare(open_run(own(transport), transport), Journal(None, Silent())).examples.train
        )

    assert run_ranks(2, body, timeout=20) == [12, 0]
