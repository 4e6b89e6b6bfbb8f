"""PAC runs that record before the first update, in the stages that replay it."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from mpiedge.comm.transport import Kind
from mpiedge.model.shard import Shard
from mpiedge.run import completing, training
from mpiedge.run.journal import Journal
from mpiedge.run.mending import mend
from mpiedge.store.cache import ActivationCache
from tests.models import save_tiny
from tests.runs import Finished, difference, run, settings

SIDE = {"kind": "parallel", "reduction": 2}
SGD = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 3}
STAGES = {"name": "pac", "record": "before", "groups": ["0", "1", "2"], "layers": [2, 1, 2]}


@pytest.fixture
def pac(bert: Path, requests: Path, tmp_path: Path) -> Any:
    """Runs three stages that record beforehand; the caches are all under one folder."""

    def started(name: str = "run", ranks: int = 3, **sections: dict[str, Any]) -> Finished:
        given: dict[str, dict[str, Any]] = {
            "adapter": SIDE,
            "training": SGD,
            "strategy": STAGES,
            "cache": {"folder": str(tmp_path / "caches")},
        }
        for section, changes in sections.items():
            given[section] = {**given.get(section, {}), **changes}
        return run(settings(bert, requests, **given), ranks, tmp_path / name)

    return started


@pytest.fixture(scope="module")
def alone(bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same training without any cache."""
    given = settings(bert, requests, adapter=SIDE, training=SGD)
    return run(given, 1, tmp_path_factory.mktemp("alone"))


def test_each_stage_keeps_its_layers_and_nothing_moves(
    pac: Any, alone: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[int, set[range]] = {}
    original = training.complete

    def complete(run: Any, *given: Any) -> Any:
        completed = original(run, *given)
        runs = run.caches.train.cache.index.runs()
        kept[run.opened.transport.rank] = set(runs)
        assert all(len(examples) == 24 for examples in runs.values())
        return completed

    monkeypatch.setattr(training, "complete", complete)
    done = pac()
    assert difference(alone, done) < 1e-6
    assert done.losses == pytest.approx(alone.losses, rel=1e-5)
    assert kept == {0: {range(2)}, 1: {range(2, 3)}, 2: {range(3, 4)}}
    caching = done.result["caching"]
    assert (caching["recorded_apart"], caching["bytes_moved"]) == (24 + 21, 0)
    assert [(p["batches"], p["beforehand"]) for p in done.result["plan"]] == [(0, 3), (9, 0)]


def test_what_the_model_makes_crosses_links_once(pac: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[str, int]] = []
    original = training.complete

    def complete(run: Any, *given: Any) -> Any:
        completed = original(run, *given)
        ledger = run.opened.transport.ledger.sent().items()
        sent.append(("recording", sum(f.bytes for (k, _), f in ledger if k is Kind.ACTIVATION)))
        return completed

    monkeypatch.setattr(training, "complete", complete)
    done = pac()
    recording = sum(size for _, size in sent)
    flows = [rank["sent"].get("activation", {"bytes": 0}) for rank in done.result["ranks"]]
    # Three epochs and evaluations later: half the width each time, and no hidden state of it.
    assert 0 < sum(flow["bytes"] for flow in flows) - recording < 3 * 0.6 * recording


def test_recording_has_neither_head_nor_side_network_in_memory(
    pac: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: list[set[str]] = []
    original = completing._record

    def record(run: Any, taken: Any, *given: Any) -> None:
        model = taken.engine._shard.model
        real.append({name for name, each in model.named_parameters() if not each.is_meta})
        original(run, taken, *given)

    monkeypatch.setattr(completing, "_record", record)
    pac()
    assert len(real) == 3 * 2
    assert not [name for names in real for name in names if name.startswith(("side", "classifier"))]
    assert all(len(names) > 0 for names in real)


def test_how_far_the_recording_is(pac: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    statuses: list[dict[str, Any]] = []
    original = Journal.recorded

    def recorded(self: Journal, done: int, count: int) -> None:
        original(self, done, count)
        if self.output is not None:
            told.append((done, count))
            statuses.append(json.loads((self.output.folder / "status.json").read_text()))

    monkeypatch.setattr(Journal, "recorded", recorded)
    done = pac()
    assert told == sorted(told, key=lambda one: (-one[1], one[0]))
    assert {count for _, count in told} == {24, 21}
    assert (24, 24) in told and (21, 21) in told
    last = statuses[-1]
    assert (last["state"], last["recorded"], last["to_record"]) == ("recording", 21, 21)
    assert json.loads((done.folder / "status.json").read_text())["state"] == "finished"


@pytest.mark.parametrize("damage", ["cut", "flipped"])
@pytest.mark.parametrize("rank", [0, 1, 2])
def test_damage_is_mended_by_the_stage_that_finds_it(
    rank: int, damage: str, pac: Any, alone: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, mended = training.complete, list[tuple[int, range]]()

    def complete(run: Any, *given: Any) -> Any:
        completed = original(run, *given)
        if run.opened.transport.rank == rank:
            for segment in run.caches.train.folder.glob("*.h5"):
                content = bytearray(segment.read_bytes())
                if damage == "cut":
                    content = content[: len(content) // 2]
                else:
                    content[len(content) // 3 :: 5003] = b"\xff" * len(
                        content[len(content) // 3 :: 5003]
                    )
                segment.write_bytes(bytes(content))
        return completed

    def noting(opened: Any, cache: ActivationCache, split: Any, lost: Any, layers: range) -> None:
        mended.extend((example, layers) for example in lost)
        mend(opened, cache, split, lost, layers)

    monkeypatch.setattr(training, "complete", complete)
    monkeypatch.setattr("mpiedge.run.backbones.mend", noting)
    done = pac()
    assert {layers for _, layers in mended} == {(range(2), range(2, 3), range(3, 4))[rank]}
    # All of the file at once, not one micro-batch after the other.
    assert len({example for example, _ in mended}) == len(mended)
    assert difference(alone, done) < 1e-6


def test_a_kept_cache_serves_other_stages(pac: Any, tmp_path: Path) -> None:
    keep = {"folder": str(tmp_path / "caches"), "keep": True}
    first = pac(cache=keep)
    other = {"name": "pac", "record": "before", "groups": ["1,0", "2"], "layers": [3, 2]}
    second = pac("second", strategy=other, cache=keep)
    assert second.result["caching"]["recorded_apart"] == 0
    assert second.result["caching"]["bytes_moved"] > 0
    third = pac("third", strategy={**other, "record": "first-epoch"}, cache=keep)
    assert difference(first, second) < 1e-6
    assert difference(first, third) < 1e-6


def test_a_head_alone_is_given_what_it_merges(tmp_path: Path, requests: Path) -> None:
    model = save_tiny("bart", tmp_path / "bart")
    more = {
        "adapter": {**SIDE, "merge": "gate"},
        "training": {**SGD, "batch_size": 16, "micro_batch_size": 4},
        "cache": {"folder": str(tmp_path / "caches")},
    }
    alone = run(settings(model, requests, **more), 1, tmp_path / "alone")
    last = len(alone.result["plan"][0]["routes"][0]) and alone.result["plan"][0]["routes"][0][0]
    count = last["layers"][1]
    stages = {**STAGES, "groups": ["0", "1"], "layers": [count - 1, 1]}
    together = run(settings(model, requests, strategy=stages, **more), 2, tmp_path / "two")
    assert difference(alone, together) < 1e-6


def test_with_dropout_and_adamw(bert: Path, requests: Path, tmp_path: Path) -> None:
    more = {
        "adapter": {**SIDE, "dropout": 0.2},
        "training": {"epochs": 3, "clip_norm": 0.5},
        "cache": {"folder": str(tmp_path / "caches")},
    }
    alone = run(settings(bert, requests, **more), 1, tmp_path / "alone")
    together = run(settings(bert, requests, strategy=STAGES, **more), 3, tmp_path / "three")
    assert difference(alone, together) < 1e-4


def test_a_shard_that_runs_bare_makes_what_the_model_makes(
    pac: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[Tensor] = []
    forward = Shard.forward

    def watched(self: Shard, *given: Any, **more: Any) -> Any:
        y = forward(self, *given, **more)
        if self._bare:
            sides.append(y.side)
            assert not y.hidden.requires_grad
        return y

    monkeypatch.setattr(Shard, "forward", watched)
    pac()
    assert sides
    assert all(side.numel() == 0 for side in sides)
