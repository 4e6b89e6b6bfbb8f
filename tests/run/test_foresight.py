"""What is foreseen of a run, held against the run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.errors import BadInput
from mpiedge.plan.cost import Device
from mpiedge.plan.prediction import Carried
from mpiedge.run.foresight import Foresight, foresee, values
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import open_run
from tests.runs import run, settings

BOXED = {"kind": "bottleneck", "bottleneck": 4}
SIDE = {"kind": "parallel", "reduction": 4}
HEAD = 400  # bytes that a message says of itself and of its rows, at most


def foreseen(bert: Path, requests: Path, ranks: int, **sections: dict[str, Any]) -> Foresight:
    chosen = settings(bert, requests, **sections)
    return foresee(imagined(open_run(chosen, alone(5.0)), ranks))


def bytes_of(one: Foresight, rank: int, *what: Carried) -> int:
    return sum(
        amount.bytes
        for epoch in one.forecast.epochs
        for way, amount in epoch.sent.items()
        if way.source == rank and way.what in what
    )


def messages_of(one: Foresight, rank: int, what: Carried) -> int:
    return sum(
        amount.messages
        for epoch in one.forecast.epochs
        for way, amount in epoch.sent.items()
        if way.source == rank and way.what is what
    )


@pytest.mark.parametrize(
    ("adapter", "name", "apart"),
    [
        ({}, "pipeline", 0.01),
        (BOXED, "ring", 0.15),  # only some batches send gradients, and batches differ in length
        (BOXED, "splitlora", 0.01),
        (SIDE, "pac", 0.01),
    ],
)
def test_messages_are_those_of_the_run(
    adapter: dict[str, Any],
    name: str,
    apart: float,
    bert: Path,
    requests: Path,
    tmp_path: Path,
) -> None:
    sections: dict[str, dict[str, Any]] = {
        "adapter": adapter,
        "strategy": {"name": name, "interval": 2},
        "training": {"evaluate_every": 100, "batch_size": 8},
        "cache": {"folder": str(tmp_path / "cache")},
    }
    one = foreseen(bert, requests, 2, **sections)
    ran = run(settings(bert, requests, **sections), 2, tmp_path / "run")
    evaluated = 11  # micro-batches that evaluation sends once, at the end
    for rank, used in enumerate(ran.result["ranks"]):
        gradients = used["sent"].get("gradient", {"messages": 0, "bytes": 0})
        assert messages_of(one, rank, Carried.GRADIENT) == gradients["messages"]
        size = bytes_of(one, rank, Carried.GRADIENT)
        heads = HEAD * gradients["messages"]
        assert (1 - apart) * size <= gradients["bytes"] <= (1 + apart) * size + heads
        sent = used["sent"].get("activation", {"messages": 0, "bytes": 0})
        ours = messages_of(one, rank, Carried.ACTIVATION)
        assert ours <= sent["messages"] <= ours + 2 * evaluated


def test_a_rank_needs_its_layers_and_says_what_is_missing(bert: Path, requests: Path) -> None:
    one = foreseen(bert, requests, 3, strategy={"name": "pipeline"})
    assert [seat.layers for seat in one.seats] == [
        stage_layers for stage_layers in (tuple(s.layers) for s in one.phases[0].plan.routes[0])
    ]
    # A rank with nothing but the embedding trains nothing, and keeps nothing to train.
    trains = {rank for ranks in one.phases[0].plan.trainers.values() for rank in ranks}
    assert all(seat.memory.frozen > 0 for seat in one.seats)
    assert {s.rank for s in one.seats if s.memory.total > s.memory.frozen} == trains
    assert [seat.short for seat in one.seats] == [0, 0, 0]
    assert one.forecast.seconds == pytest.approx(one.first.seconds + one.last.seconds)


@pytest.mark.parametrize(
    ("adapter", "strategy"),
    [
        (SIDE, {"name": "pac"}),
        (BOXED, {"name": "split", "replay": True}),
        (BOXED, {"name": "ring", "prefix_cache": True, "depth": 2, "interval": 0}),
    ],
)
def test_the_disk_is_a_bound_of_what_is_stored(
    adapter: dict[str, Any], strategy: dict[str, Any], bert: Path, requests: Path, tmp_path: Path
) -> None:
    sections = {
        "adapter": adapter,
        "strategy": strategy,
        "cache": {"folder": str(tmp_path / "cache")},
    }
    one = foreseen(bert, requests, 2, **sections)
    ran = run(settings(bert, requests, **sections), 2, tmp_path / "run")
    stored = sum(used.get("cache_bytes", 0) for used in ran.result["ranks"])
    bound = sum(seat.disk for seat in one.seats)
    assert 0 < stored <= bound


@pytest.mark.parametrize("name", ["deft", "fedlora"])
def test_rounds_send_weights_down_and_an_answer_up(
    name: str, bert: Path, requests: Path, tmp_path: Path
) -> None:
    sections = {"strategy": {"name": name, "local_steps": 2}}
    one = foreseen(bert, requests, 3, **sections)
    assert one.round is not None
    answer = one.round.found.answer.allotment
    assert answer is not None
    assert one.forecast.seconds == pytest.approx(one.clock.steps * answer.seconds)
    ran = run(settings(bert, requests, **sections), 3, tmp_path / "run")
    for rank in (1, 2):
        sent = ran.result["ranks"][rank]["sent"]["reply"]
        size = bytes_of(one, rank, Carried.WEIGHTS, Carried.GRADIENT)
        assert sent["messages"] == one.clock.steps
        assert size < sent["bytes"] < size + HEAD * sent["messages"]


def test_all_of_it_as_plain_values(bert: Path, requests: Path) -> None:
    found = json.loads(json.dumps(values(foreseen(bert, requests, 2, strategy={"name": "split"}))))
    assert found["strategy"] == "split"
    assert [device["rank"] for device in found["devices"]] == [0, 1]
    assert found["devices"][0]["memory_bytes"]["total"] > 0
    assert found["phases"][0]["feeders"][0]["rank"] == 1
    assert len(found["epochs"]) == 2
    assert (found["fits"], found["trouble"]) == (True, "")
    assert "round" not in found
    assert "round" in values(foreseen(bert, requests, 3, strategy={"name": "deft"}))


def test_what_cannot_be_planned_is_one_line_on_all_ranks(bert: Path, requests: Path) -> None:
    chosen = settings(bert, requests, strategy={"name": "standalone"})

    def body(transport: ThreadTransport) -> None:
        with pytest.raises(BadInput, match="runs on 1 rank, but 2 were started"):
            foresee(open_run(chosen, transport))
        transport.close()

    run_ranks(2, body, timeout=30)


def test_a_device_that_is_too_small_is_named(bert: Path, requests: Path) -> None:
    opened = imagined(open_run(settings(bert, requests, strategy={"name": "pipeline"}), alone()), 2)
    one = foresee(opened)
    small = replace(one.seats[1], device=Device(1.0, one.seats[1].memory.total - 2**20))
    short = replace(one, seats=(one.seats[0], small))
    assert small.short == 2**20
    assert short.trouble.startswith("rank 1 needs ")
    assert short.trouble.endswith(", 1.0 MiB more than it has")


def test_an_epoch_waits_for_a_slow_disk(bert: Path, requests: Path, tmp_path: Path) -> None:
    def planned(storage: float) -> Foresight:
        path = tmp_path / "cluster.toml"
        each = f'[[device]]\nname = "a"\ngflops = 10\nrate = 100\nstorage = {storage}\n'
        path.write_text(2 * each, encoding="utf-8")
        about = {"name": "pac", "record": "first-epoch", "cluster": str(path)}
        return foreseen(bert, requests, 2, adapter=SIDE, strategy=about)

    unknown, slow = planned(0.0), planned(0.001)
    assert slow.first.seconds == unknown.first.seconds
    most = max(seat.disk for seat in slow.seats) / 1e3  # seconds for all that a rank stores
    assert unknown.last.seconds < most / 4 < slow.last.seconds < most
