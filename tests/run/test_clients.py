"""Whose examples make up which batch of a run."""

from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.run.clients import Clients, Rota, homes, read_clients
from mpiedge.run.opening import open_run
from tests.models import save_tiny
from tests.runs import settings, write_requests


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("clients") / "bert")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("clients") / "requests")


def seen(
    bert: Path, data: Path, ranks: int, *, lengths: bool = False, **strategy: Any
) -> list[tuple[Clients, frozenset[int], list[Any]]]:
    """What each rank knows of five clients, and the batches of two epochs as it makes them up."""
    sections = {
        "strategy": {"name": "ring", "clients": 5, **strategy},
        "training": {"batch_size": 8},
        "task": {"split": "dirichlet"},
        "adapter": {"kind": "bottleneck"},
    }

    def body(transport: ThreadTransport) -> tuple[Clients, frozenset[int], list[Any]]:
        opened = open_run(settings(bert, data, **sections), transport)
        clients = read_clients(opened, opened.task.examples("train"), lengths=lengths)
        rota = Rota(opened, clients, 4)
        batches = range(2 * sum(clients.batches(8)))
        rows = [
            (rota.place(k).client, rota.portions(k))
            for k in batches
            if rota.place(k).client in clients.lengths
        ]
        return clients, homes(opened), rows

    return run_ranks(ranks, body)


@pytest.mark.parametrize("turn", ["batch", "epoch", "data"])
def test_each_epoch_has_every_example_of_every_client_once(
    turn: str, bert: Path, data: Path
) -> None:
    ((clients, _, rows),) = seen(bert, data, 1, turn=turn)
    assert sum(clients.sizes) == 90
    half = len(rows) // 2
    for epoch in (rows[:half], rows[half:]):
        for client, size in enumerate(clients.sizes):
            mine = [i for c, parts in epoch if c == client for part in parts for i in part]
            assert sorted(mine) == list(range(size))
    assert rows[:half] != rows[half:]
    assert all(len(parts) == 4 for _, parts in rows)


def test_a_rank_knows_its_own_clients_and_makes_up_the_same_batches(bert: Path, data: Path) -> None:
    ((alone, _, every),) = seen(bert, data, 1)
    for rank, (clients, home, rows) in enumerate(seen(bert, data, 2)):
        assert clients.sizes == alone.sizes
        assert home == {0, 1}
        mine = {client for client in range(5) if client % 2 == rank}
        assert set(clients.examples) == set(clients.lengths) == mine
        assert rows == [row for row in every if row[0] in mine]


def test_with_lengths_every_rank_makes_up_all_batches(bert: Path, data: Path) -> None:
    (first, _, rows), (second, _, others) = seen(bert, data, 2, lengths=True)
    assert rows == others
    assert first.tokens == second.tokens
    assert set(second.examples) == {1, 3}
    for client, examples in second.examples.items():
        assert list(first.tokens[client]) == [len(example.tokens) for example in examples]


def test_numbers_go_on_from_client_to_client(bert: Path, data: Path) -> None:
    ((clients, _, _),) = seen(bert, data, 1)
    numbers = [clients.number(c, i) for c, size in enumerate(clients.sizes) for i in range(size)]
    assert numbers == list(range(90))
