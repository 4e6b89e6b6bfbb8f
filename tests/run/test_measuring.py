"""Timing one layer of each kind."""

from pathlib import Path
from typing import Any

import pytest
import torch

from mpiedge.comm.threads import alone
from mpiedge.plan.cluster import Pace, Passes
from mpiedge.run import measuring
from mpiedge.run.measuring import fitted, layer_times, read_speed, sizes
from mpiedge.run.opening import Opened, open_run
from mpiedge.run.stopwatch import Stopwatch
from mpiedge.store.layout import Counts
from tests.models import save_tiny
from tests.runs import settings


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("t5", tmp_path_factory.mktemp("models") / "t5", blocks=2)


SIZES = [(2, 32), (2, 16), (2, 4), (1, 32)]


def opened(model: Path, requests: Path, **sections: dict[str, Any]) -> Opened:
    return open_run(settings(model, requests, **sections), alone(5.0))


def test_a_line_is_found_again() -> None:
    tokens = [8, 64, 128, 512]
    found = fitted(tokens, [0.1 + 0.01 * each for each in tokens])
    assert found == pytest.approx(Pace(0.1, 0.01))


def test_neither_part_is_negative() -> None:
    assert fitted([10, 20], [1.0, 4.0]) == pytest.approx(Pace(0.0, (0.1 + 0.2) / 2))
    assert fitted([10, 20], [4.0, 1.0]) == pytest.approx(Pace(2.5, 0.0))
    assert fitted([10, 10], [1.0, 2.0]) == pytest.approx(Pace(0.0, 0.15))


def test_micro_batches_are_as_long_as_examples_are(bert: Path, requests: Path) -> None:
    examples = [Counts(length) for length in (*[3] * 20, *[5] * 40, *[9] * 38, 30, 31)]
    assert sizes(opened(bert, requests), examples) == [(2, 3), (2, 5), (2, 9), (2, 31), (1, 9)]


def test_what_is_written_has_a_length_too(t5: Path, requests: Path) -> None:
    run = opened(t5, requests, task={"name": "seq2seq", "text": ["text"], "label": "label"})
    examples = [Counts(3, 8), Counts(5, 2)]
    assert sizes(run, examples) == [(2, 3, 2), (2, 5, 8), (1, 5, 8)]


@pytest.mark.parametrize(
    "adapter", [{"kind": "lora"}, {"kind": "parallel", "reduction": 4}, {"kind": "full"}]
)
def test_every_kind_of_layer_is_timed(adapter: dict[str, Any], bert: Path, requests: Path) -> None:
    found = layer_times(opened(bert, requests, adapter=adapter), SIZES)
    assert set(found) == {"embedding", "block", "head"}
    for passes in found.values():
        assert sum(passes.forward) > 0
    assert sum(found["block"].backward) > 0


def test_a_decoder_apart_is_timed_too(t5: Path, requests: Path) -> None:
    found = layer_times(opened(t5, requests, adapter={"kind": "bottleneck"}), SIZES)
    assert set(found) == {"embedding", "block", "bridge", "decoder", "head"}
    assert sum(found["decoder"].backward) > 0


def test_only_layers_of_different_kinds_are_loaded(bert: Path, requests: Path) -> None:
    run = opened(bert, requests)
    layer_times(run, SIZES)
    loaded = [
        layer
        for layer in range(run.blueprint.num_layers)
        if not any(each.is_meta for each in run.blueprint.parameters(layer).values())
    ]
    assert loaded == [0, 1, 4]


def test_what_is_timed_is_what_is_written(
    bert: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every forward pass takes 2 s and all that has gradients 5 s: no clock is asked.
    def seconds(_: object, work: Any, *, model: bool = True) -> float:
        work()
        return 5.0 if torch.is_grad_enabled() else 2.0

    monkeypatch.setattr(Stopwatch, "seconds", seconds)
    found = layer_times(opened(bert, requests), SIZES)
    for kind, passes in found.items():
        two = Pace(pytest.approx(2.0), pytest.approx(0.0, abs=1e-9))
        three = Pace(pytest.approx(3.0), pytest.approx(0.0, abs=1e-9))
        assert passes == Passes(two, three, two, update=0.0 if kind == "embedding" else 5.0)


def test_a_replay_of_a_side_network_computes_no_more_than_that(
    bert: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = 0

    class Counting:
        def __init__(self, shard: Any) -> None:
            self.shard = shard
            for block in run.blueprint.model.bert.encoder.layer:
                block.register_forward_hook(self.count)

        def count(self, *_: object) -> None:
            nonlocal blocks
            blocks += 1

        def seconds(self, work: Any, *, model: bool = True) -> float:
            before = blocks
            work()
            return float(blocks - before)

    run = opened(bert, requests, adapter={"kind": "parallel", "reduction": 4})
    monkeypatch.setattr(measuring, "Stopwatch", Counting)
    found = layer_times(run, [(2, 8)])
    assert found["block"][:3] == (Pace(0.0, 1 / 16), Pace(0.0, 0.0), Pace(0.0, 0.0))


def test_a_disk_is_read(tmp_path: Path) -> None:
    assert read_speed(tmp_path / "cache") > 0
    assert list((tmp_path / "cache").iterdir()) == []
