"""One plan for all ranks, made on rank 0."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.errors import BadInput
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.plan.partition import from_json
from mpiedge.run.opening import Opened, open_run
from mpiedge.run.planning import Extent, described, micro_batches, plan_run, stored
from mpiedge.strategy.strategy import Phase
from tests.runs import settings


def planned(
    bert: Path, requests: Path, ranks: int, **sections: dict[str, Any]
) -> list[tuple[Opened, tuple[Phase, ...]]]:
    given = settings(bert, requests, **sections)

    def body(transport: Transport) -> tuple[Opened, tuple[Phase, ...]]:
        opened = open_run(given, transport)
        return opened, plan_run(opened, Extent(batches=7, micro_batches=4))

    return run_ranks(ranks, body)


def test_every_rank_has_the_same_plan(bert: Path, requests: Path) -> None:
    plans = [phases for _, phases in planned(bert, requests, 3, strategy={"name": "pipeline"})]
    assert plans[0] == plans[1] == plans[2]
    ((phase,), *_) = plans
    assert phase.batches == 7
    assert sorted(i for rank in range(3) for i in phase.plan.layers_of(rank)) == list(range(5))
    assert len(phase.plan.micro_batches) == 4


def test_only_rank_0_decides(bert: Path, requests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What devices have free differs, so each would decide something else.
    asked: list[int] = []

    def decide(_: object, work: Any) -> tuple[Phase, ...]:
        asked.append(len(work.ranks))
        return ()

    monkeypatch.setattr("mpiedge.run.planning.strategy", lambda name: decide)
    assert [phases for _, phases in planned(bert, requests, 3)] == [(), (), ()]
    assert asked == [3]


def test_the_plan_in_sentences(bert: Path, requests: Path) -> None:
    strategy = {"name": "pipeline", "layers": [2, 3]}
    opened, (phase,) = planned(bert, requests, 2, strategy=strategy)[0]
    first, second = described(opened, (phase,))
    host = opened.host.name
    assert first.startswith(f"rank 0 on {host}: layers 0..1 of 0..4, 1 of them tuned, 0.")
    assert second.startswith(f"rank 1 on {host}: layers 2..4 of 0..4, 3 of them tuned, 0.")


def test_shares_of_a_batch_in_sentences(bert: Path, requests: Path) -> None:
    strategy = {"name": "data-parallel", "shares": [3.0, 1.0]}
    opened, (phase,) = planned(bert, requests, 2, strategy=strategy)[0]
    ends = [line.partition("MiB")[2] for line in described(opened, (phase,))]
    assert ends == [", 3 of 4 micro-batches", ", 1 of 4 micro-batches"]


def test_a_stored_plan_reads_back(bert: Path, requests: Path) -> None:
    _, phases = planned(bert, requests, 2, strategy={"name": "data-parallel"})[0]
    (kept,) = stored(phases)
    assert kept["batches"] == 7
    assert from_json(kept) == phases[0].plan


@pytest.mark.parametrize(
    ("batch", "micro", "examples", "count"),
    [(8, 2, 90, 4), (8, 3, 90, 3), (8, 8, 90, 1), (8, 9, 90, 1), (512, 8, 20, 3)],
)
def test_a_batch_is_cut_into_enough_micro_batches(
    batch: int, micro: int, examples: int, count: int
) -> None:
    training = TrainingSettings(batch_size=batch, micro_batch_size=micro)
    assert micro_batches(training, examples) == count


@pytest.mark.parametrize(
    ("changes", "joint"),
    [({"clip_norm": 0.0}, False), ({"clip_norm": 1.0}, True)],
)
def test_a_global_norm_makes_ranks_update_together(
    bert: Path, requests: Path, changes: dict[str, float], joint: bool
) -> None:
    (_, (phase,)), *_ = planned(bert, requests, 2, strategy={"name": "pipeline"}, training=changes)
    assert phase.plan.joint_update is joint


def test_a_model_too_large_for_the_memory_there_is(bert: Path, requests: Path) -> None:
    given = settings(bert, requests, strategy={"name": "pipeline"})

    def body(transport: Transport) -> str:
        opened = open_run(given, transport)
        small = replace(opened, hosts=tuple(h._replace(free_memory=2000) for h in opened.hosts))
        with pytest.raises(BadInput) as bad:
            plan_run(small, Extent(1, 1))
        return str(bad.value)

    said, same = run_ranks(2, body)
    assert said == same
    assert "do not fit ranks [0, 1]" in said
