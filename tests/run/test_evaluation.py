"""Scores over any number of ranks: every example once, and the same numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.run.evaluation import observe, portions, sizes, validation_of
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.phases import begin
from mpiedge.run.preparing import prepare
from mpiedge.run.progress import Silent
from tests.runs import settings


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10])
def test_portions_hold_every_example_once_and_like_lengths_together(size: int) -> None:
    lengths = [5, 3, 9, 3, 1, 7, 2]
    cut = portions(lengths, size)
    assert sorted(i for part in cut for i in part) == list(range(7))
    assert [lengths[i] for part in cut for i in part] == sorted(lengths)
    assert tuple(map(len, cut)) == sizes(7, size)
    assert max(map(len, cut)) <= size


def observed(
    bert: Path, requests: Path, ranks: int, **sections: dict[str, Any]
) -> tuple[Tensor, dict[str, float]]:
    """What an untrained model's evaluation gives on rank 0; the other ranks get nothing."""
    given = settings(bert, requests, **sections)

    def body(transport: Transport) -> tuple[Tensor, dict[str, float]] | None:
        run = prepare(open_run(given, transport), Journal(None, Silent()))
        engine = begin(run.opened, run.phases[-1], run.clock.steps, {}).engine
        evaluation = validation_of(run.opened, run.phases[-1].plan, run.examples)
        rows = observe(transport, engine, evaluation)
        again = observe(transport, engine, evaluation)
        transport.close()
        if rows is None or again is None:
            return None
        assert torch.equal(rows, again)
        return rows, run.opened.task.score(rows)

    first, *others = run_ranks(ranks, body)
    assert others == [None] * (ranks - 1)
    assert first is not None
    return first


@pytest.fixture(scope="module")
def alone(bert: Path, requests: Path) -> tuple[Tensor, dict[str, float]]:
    return observed(bert, requests, 1)


@pytest.mark.parametrize("name", ["pipeline", "data-parallel"])
def test_three_ranks_score_what_one_does(
    name: str, bert: Path, requests: Path, alone: tuple[Tensor, dict[str, float]]
) -> None:
    rows, scores = observed(bert, requests, 3, strategy={"name": name})
    assert rows.shape == (21, 3)
    assert torch.equal(rows, alone[0])
    assert scores == alone[1]
    assert scores.keys() >= {"accuracy", "loss"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_there_may_be_fewer_examples_than_routes(bert: Path, requests: Path, count: int) -> None:
    few = {"eval_examples": count}
    one, _ = observed(bert, requests, 1, task=few)
    four, _ = observed(
        bert,
        requests,
        4,
        task=few,
        strategy={"name": "data-parallel"},
        training={"micro_batch_size": 1},
    )
    assert four.shape == (count, 3)
    torch.testing.assert_close(
        four[four[:, 2].argsort()], one[one[:, 2].argsort()], rtol=1e-5, atol=1e-6
    )
