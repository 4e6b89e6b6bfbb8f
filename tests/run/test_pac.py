"""PAC runs: what is recorded is replayed, moved, reused, made again when lost, and removed."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from transformers import AutoTokenizer

from mpiedge.errors import BadInput
from mpiedge.run import completing, training
from mpiedge.run.mending import mend
from mpiedge.run.phases import Entered
from mpiedge.store.prefetch import Replay
from tests.models import save_tiny
from tests.runs import Finished, difference, run, settings

SIDE = {"kind": "parallel", "reduction": 2}
SGD = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 3}
CUT = {"name": "pac", "groups": ["0", "1"]}


@pytest.fixture
def pac(bert: Path, requests: Path, tmp_path: Path) -> Any:
    """Runs pac on some ranks; the caches are all under one folder."""

    def started(ranks: int, name: str = "run", **sections: dict[str, Any]) -> Finished:
        given: dict[str, dict[str, Any]] = {
            "adapter": SIDE,
            "training": SGD,
            "strategy": CUT if ranks == 2 else {"name": "pac"},
        }
        for section, changes in sections.items():
            given[section] = {**given.get(section, {}), **changes}
        given["cache"] = {"folder": str(tmp_path / "caches"), **sections.get("cache", {})}
        return run(settings(bert, requests, **given), ranks, tmp_path / name)

    return started


def stores(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "caches").rglob("*.h5"))


def lines(done: Finished) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same training without any cache."""
    given = settings(bert, requests, adapter=SIDE, training=SGD)
    return run(given, 1, tmp_path_factory.mktemp("alone"))


def test_every_rank_records_its_layers_then_has_its_examples_whole(
    pac: Any, alone: Finished, tmp_path: Path
) -> None:
    done = pac(2)
    assert difference(alone, done) < 1e-6
    recording, replaying = done.result["plan"]
    assert (recording["source"], recording["batches"]) == ("record", 3)
    assert (replaying["source"], replaying["batches"]) == ("replay", 6)
    assert [len(route) for route in recording["routes"]] == [2]
    assert [len(route) for route in replaying["routes"]] == [1, 1]
    assert done.result["caching"]["recorded_apart"] == 0
    assert done.result["caching"]["bytes_moved"] > 0
    assert all(rank["cache_bytes"] > 0 for rank in done.result["ranks"])
    assert stores(tmp_path) == []
    assert not list((tmp_path / "caches").glob("*/"))


def test_a_kept_cache_spares_the_next_run_the_recording(
    pac: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pac(2, cache={"keep": True})
    assert len(stores(tmp_path)) >= 4
    # Other hyper-parameters, another seed and so other owners, another number of ranks.
    other = {"learning_rate": 0.05, "seed": 3}
    loaded: list[bool] = []
    original = training.begin

    def begin(*given: Any) -> Entered:
        here = original(*given)
        loaded.append(any(p.is_meta for p in here.shard.model.base_model.parameters()))
        return here

    monkeypatch.setattr(training, "begin", begin)
    monkeypatch.setattr(completing, "load", lambda *_, **__: pytest.fail("the model was run"))
    second = pac(3, "second", training=other)
    assert loaded == [True] * 3
    assert [phase["batches"] for phase in second.result["plan"]] == [0, 9]
    monkeypatch.undo()
    fresh = pac(1, "fresh", training=other, cache={"folder": str(tmp_path / "elsewhere")})
    assert difference(second, fresh) < 1e-6
    assert difference(first, fresh) > 1e-3
    assert second.result["metrics"] == pytest.approx(fresh.result["metrics"], rel=1e-4)


def test_a_kept_cache_outlives_a_run_that_would_not_keep_one(pac: Any, tmp_path: Path) -> None:
    pac(2, cache={"keep": True})
    there = stores(tmp_path)
    pac(2, "second")
    assert stores(tmp_path) == there


def test_what_a_kept_cache_lacks_is_recorded_apart(pac: Any, tmp_path: Path) -> None:
    first = pac(2, cache={"keep": True})
    # One rank's validation examples are gone, and nothing else.
    (gone,) = [folder for folder in (tmp_path / "caches").glob("*/validation/rank-1")]
    for segment in gone.glob("*.h5"):
        segment.unlink()
    second = pac(2, "second", cache={"keep": True})
    assert 0 < second.result["caching"]["recorded_apart"] < 21
    assert difference(first, second) < 1e-6


def test_a_store_deleted_between_the_phases_is_recorded_again(
    pac: Any, alone: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = training.complete

    def complete(run: Any, *given: Any) -> Any:
        if run.opened.transport.rank == 1:
            cache = run.caches.train.cache
            cache.drop(sorted({e for some in cache.index.runs().values() for e in some}))
        return original(run, *given)

    monkeypatch.setattr(training, "complete", complete)
    done = pac(2)
    assert done.result["caching"]["recorded_apart"] == 24
    assert difference(alone, done) < 1e-6


def test_damage_found_while_replaying_is_mended(
    pac: Any, alone: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = training.complete

    def complete(run: Any, *given: Any) -> Any:
        completed = original(run, *given)
        if run.opened.transport.rank == 0:
            for segment in run.caches.train.folder.glob("*.h5"):
                content = bytearray(segment.read_bytes())
                for at in range(5000, len(content) - 5000, 40_000):
                    content[at] ^= 1
                segment.write_bytes(bytes(content))
        return completed

    mended: list[int] = []

    def noting(opened: Any, cache: Any, split: Any, lost: Any, layers: range) -> None:
        mended.extend(lost)
        mend(opened, cache, split, lost, layers)

    monkeypatch.setattr(training, "complete", complete)
    monkeypatch.setattr("mpiedge.run.backbones.mend", noting)
    done = pac(2)
    assert mended
    assert difference(alone, done) < 1e-6


@pytest.mark.parametrize("family", ["t5", "gpt2"])
def test_a_mended_example_is_what_was_recorded(
    family: str, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_tiny(family, tmp_path / family)
    cache = {"folder": str(tmp_path / "caches")}
    given = settings(
        model, requests, adapter=SIDE, training=SGD, strategy={"name": "pac"}, cache=cache
    )
    whole = run(given, 1, tmp_path / "whole")
    original = training.complete

    def complete(run: Any, *given: Any) -> Any:
        completed = original(run, *given)
        for one, split in (
            (run.caches.train, run.examples.train),
            (run.caches.validation, run.examples.validation),
        ):
            one.cache.drop(one.examples.tolist())
            mend(run.opened, one.cache, split, one.examples.tolist(), one.layers)
        return completed

    monkeypatch.setattr(training, "complete", complete)
    assert difference(whole, run(given, 1, tmp_path / "mended")) < 1e-5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_smaller_formats_come_close(pac: Any, alone: Finished, dtype: str) -> None:
    done = pac(2, cache={"dtype": dtype})
    assert 0 < difference(alone, done) < 0.05
    full = pac(2, "full")
    size, most = (sum(r["cache_bytes"] for r in one.result["ranks"]) for one in (done, full))
    assert size < 0.7 * most


@pytest.mark.parametrize("ranks", [1, 2])
def test_one_epoch_records_for_a_later_run(pac: Any, ranks: int, tmp_path: Path) -> None:
    plain = pac(ranks, "plain", training={"epochs": 1})
    first = pac(ranks, "first", training={"epochs": 1}, cache={"keep": True})
    assert [phase["source"] for phase in first.result["plan"]] == ["record"]
    assert difference(plain, first) == 0
    assert stores(tmp_path)
    second = pac(ranks, "second", training={"epochs": 1}, cache={"keep": True})
    assert [p["batches"] for p in second.result["plan"] if p["source"] == "replay"] == [3]
    assert second.result["caching"]["recorded_apart"] == 0
    assert difference(plain, second) < 1e-6


def test_one_epoch_records_nothing(pac: Any, tmp_path: Path) -> None:
    done = pac(2, training={"epochs": 1})
    assert [phase["source"] for phase in done.result["plan"]] == ["compute"]
    assert "caching" not in done.result
    assert not (tmp_path / "caches").exists()


def test_evaluations_in_the_middle_of_both_phases(
    pac: Any, bert: Path, requests: Path, tmp_path: Path
) -> None:
    often = {**SGD, "evaluate_every": 2, "max_steps": 7}
    done = pac(2, training=often)
    alone = run(settings(bert, requests, adapter=SIDE, training=often), 1, tmp_path / "alone")
    scores = [
        [line["evaluation"]["loss"] for line in lines(one) if "evaluation" in line]
        for one in (done, alone)
    ]
    assert len(scores[0]) == 4
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    assert difference(done, alone) < 1e-6


def test_the_model_is_let_go_after_recording(pac: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[tuple[str, int]] = []
    original = training._finish

    def finish(run: Any, here: Entered, *more: Any) -> None:
        real = [name for name, each in here.shard.model.named_parameters() if not each.is_meta]
        held.extend((name, run.opened.transport.rank) for name in real)
        original(run, here, *more)

    monkeypatch.setattr(training, "_finish", finish)
    pac(2)
    kept = {name for name, _ in held if not name.startswith("side.")}
    assert {rank for _, rank in held} == {0, 1}
    assert kept
    assert all(name.startswith(("classifier.", "bert.pooler.")) for name in kept)


def test_only_side_networks_can_be_trained(pac: Any) -> None:
    with pytest.raises(BadInput, match="adapter.kind is lora; set it to parallel"):
        pac(2, adapter={"kind": "lora"})


def test_a_disk_too_small_is_said_before_anything_is_computed(
    pac: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mpiedge.store.space.free_bytes", lambda folder: 600_000)
    with pytest.raises(BadInput, match="too little; set cache.dtype to int8"):
        pac(2)
    assert not (tmp_path / "run").exists()
    assert stores(tmp_path) == []


def test_gradients_decide_first_values_when_asked(pac: Any) -> None:
    plain, magnitude, fisher = (
        pac(2, initial, adapter={"initial": initial}, training={"max_steps": 4})
        for initial in ("plain", "magnitude", "fisher")
    )
    assert difference(plain, magnitude) > 0.1
    assert difference(magnitude, fisher) > 0.01
    again = pac(1, "again", adapter={"initial": "fisher"}, training={"max_steps": 4})
    assert difference(fisher, again) < 1e-5


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_read_back_on_its_side(
    side: str, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llama = save_tiny("llama", tmp_path / "llama")
    tokenizer = AutoTokenizer.from_pretrained(llama)
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, side
    tokenizer.save_pretrained(llama)
    copied: list[bool] = []
    padded = Replay.padded

    def watched(replay: Replay, layer: int, mask: Tensor) -> Tensor:
        out = padded(replay, layer, mask)
        copied.append(all(out is not each for each in replay.hidden))
        return out

    monkeypatch.setattr(Replay, "padded", watched)
    given = {"adapter": SIDE, "training": SGD, "cache": {"folder": str(tmp_path / "caches")}}
    replayed = run(
        settings(llama, requests, strategy={"name": "pac"}, **given), 1, tmp_path / "pac"
    )
    computed = run(settings(llama, requests, **given), 1, tmp_path / "alone")
    assert difference(computed, replayed) < 1e-6
    # As it was read, so is it used: nothing is moved from one side to the other.
    assert copied
    assert not any(copied)
