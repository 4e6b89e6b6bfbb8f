"""Stored activations on their way to the ranks that own them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.comm.transport import Kind
from mpiedge.plan.redistribution import Holding
from mpiedge.run import redistributing
from mpiedge.run.redistributing import holdings, redistribute
from mpiedge.store.cache import ActivationCache
from mpiedge.store.layout import Counts, Layout

LAYOUT = Layout(layers=3, width=4, bridge=3, dtype="float32")
COUNTS = [Counts(1 + e % 5) for e in range(12)]
WANTED = [Holding(rank, range(3), np.arange(rank, 12, 3)) for rank in range(3)]
RUNS = {0: range(1), 1: range(1, 3), 2: range(1, 3)}


def value(example: int, layer: int) -> float:
    return 100.0 * example + layer


def recorded(folder: Path, rank: int) -> ActivationCache:
    """Rank 0 has layer 0 of all examples; the others above it, each of one half."""
    cache = ActivationCache(folder / str(rank), LAYOUT)
    mine = range(12) if rank == 0 else range(6 * (rank - 1), 6 * rank)
    for e in mine:
        hidden = [torch.full((1, COUNTS[e].source, 4), value(e, i)) for i in RUNS[rank]]
        cache.put([e], RUNS[rank], hidden, [torch.ones(1, COUNTS[e].source)] * len(hidden))
    cache.finish()
    return cache


@pytest.mark.parametrize("part", [1, 100, 1 << 20])
def test_every_owner_gets_all_layers_however_small_the_parts(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redistributing, "PART", part)

    def body(transport: ThreadTransport) -> tuple[int, int]:
        cache = recorded(tmp_path, transport.rank)
        sent = redistribute(transport, cache, WANTED, COUNTS)
        mine = WANTED[transport.rank].examples.tolist()
        assert cache.complete(range(3)).tolist() == mine
        for e, layers in zip(mine, cache.read(mine, range(3)), strict=True):
            assert [layer.shape for layer in layers] == [(COUNTS[e].source, 4)] * 3
            assert all((layers[i] == value(e, i)).all() for i in range(3))
        # What others own is gone from here.
        after = [one for one in holdings(transport, cache) if one.rank == transport.rank]
        assert {int(e) for one in after for e in one.examples} == set(mine)
        assert redistribute(transport, cache, WANTED, COUNTS) == 0
        messages = transport.ledger.sent().items()
        cache.close()
        transport.close()
        return sent, sum(n.messages for (kind, _), n in messages if kind is Kind.STORED)

    ranks = run_ranks(3, body)
    # Of layer 0 two thirds leave rank 0; above it, two thirds leave where they are not owned.
    assert all(sent > 0 for sent, _ in ranks)
    messages = sum(count for _, count in ranks)
    assert messages in {1: range(16, 17), 100: range(7, 16), 1 << 20: range(6, 7)}[part]


def test_a_damaged_record_is_left_out(tmp_path: Path) -> None:
    def body(transport: ThreadTransport) -> list[int]:
        cache = recorded(tmp_path, transport.rank)
        if transport.rank == 2:
            (segment,) = (tmp_path / "2").glob("*.h5")
            content = segment.read_bytes()
            at = content.index(torch.tensor([value(6, 1)] * 4).numpy().tobytes())
            segment.write_bytes(content[:at] + b"\xff" + content[at + 1 :])
        redistribute(transport, cache, WANTED, COUNTS)
        whole = cache.complete(range(3)).tolist()
        cache.close()
        transport.close()
        return whole

    assert run_ranks(3, body) == [[0, 3, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
