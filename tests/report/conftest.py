"""Tiny runs that really ran, for reports."""

from pathlib import Path

import pytest

from tests.models import save_tiny
from tests.runs import run, settings, write_requests


@pytest.fixture(scope="package")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("models") / "bert", blocks=3)


@pytest.fixture(scope="package")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("requests"), rows=24)


@pytest.fixture(scope="package")
def pipelined(bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline of two ranks, one epoch."""
    of = settings(bert, requests, strategy={"name": "pipeline"}, training={"epochs": 1})
    return run(of, 2, tmp_path_factory.mktemp("runs") / "pipelined").folder


@pytest.fixture(scope="package")
def cached(bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of pac on two ranks."""
    place = tmp_path_factory.mktemp("cached")
    of = settings(
        bert,
        requests,
        adapter={"kind": "parallel", "reduction": 4},
        strategy={"name": "pac"},
        cache={"folder": str(place / "cache")},
    )
    return run(of, 2, place / "cached").folder


@pytest.fixture(scope="package")
def in_rounds(bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of deft: a server and two clients."""
    of = settings(bert, requests, strategy={"name": "deft"}, training={"epochs": 1})
    return run(of, 3, tmp_path_factory.mktemp("rounds") / "rounds").folder
