"""Rounds: every client a block of its own, or all of them and an average."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mpiedge.errors import BadInput
from mpiedge.run.local_work import Done, LocalWork
from tests.models import save_tiny
from tests.runs import Finished, difference, run, settings, write_requests

SGD = {"optimizer": "sgd", "learning_rate": 0.5, "epochs": 1, "clip_norm": 0.0}
DEFT = {"name": "deft", "clients": 3, "replan": 0}
SAME = {**DEFT, "same_batch": True}


class Files(NamedTuple):
    """What a run starts from."""

    model: Path
    data: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("files")
    return Files(save_tiny("bert", folder / "bert", blocks=3), write_requests(folder / "requests"))


@pytest.fixture(scope="module")
def alone(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    chosen = settings(*files, training={**SGD, "max_steps": 12})
    return run(chosen, 1, tmp_path_factory.mktemp("alone"))


@pytest.mark.parametrize(
    ("ranks", "changes"),
    [
        (1, {}),
        (2, {}),
        (4, {}),
        (3, {"server_has_data": True}),
        (3, {"blocks": 2}),
        (2, {"blocks": 1}),
        (4, {"clients": 4, "blocks": 2, "replicas": 2}),
        (2, {"allocation": "random-equal"}),
        (2, {"allocation": "sum", "objective": "B"}),
        (2, {"solver": "dual", "pacing": True}),
    ],
)
def test_a_round_with_one_batch_is_a_step_of_one_device(
    ranks: int, changes: dict[str, Any], files: Files, alone: Finished, tmp_path: Path
) -> None:
    training = {**SGD, "epochs": 9, "max_steps": 12}
    together = run(
        settings(*files, strategy={**SAME, **changes}, training=training), ranks, tmp_path
    )
    assert difference(alone, together) < 1e-6
    assert together.losses == pytest.approx(alone.losses, rel=1e-5)


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_the_same_with_adamw_clipping_and_dropout(
    clip: float, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = save_tiny("bert", tmp_path / "bert", blocks=3, dropout=0.2)
    data = write_requests(tmp_path / "requests")
    training = {"clip_norm": clip, "max_steps": 12, "epochs": 9}
    whole = run(settings(model, data, training=training), 1, tmp_path / "alone")
    together = run(settings(model, data, strategy=SAME, training=training), 3, tmp_path / "deft")
    assert difference(whole, together) < 1e-4


@pytest.mark.parametrize("name", ["deft", "fedlora"])
@pytest.mark.parametrize("split", ["iid", "label"])
def test_the_number_of_ranks_makes_no_difference(
    name: str, split: str, files: Files, tmp_path: Path
) -> None:
    strategy = {**DEFT, "name": name, "local_steps": 2}
    chosen = settings(*files, strategy=strategy, training={"epochs": 2}, task={"split": split})
    one = run(chosen, 1, tmp_path / "1")
    for ranks in (2, 4):
        other = run(chosen, ranks, tmp_path / str(ranks))
        assert difference(one, other) < 1e-6
        assert other.result["metrics"] == pytest.approx(one.result["metrics"], rel=1e-5)


def test_each_block_gets_the_gradient_of_its_owners_data(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[int, set[str]] = {}
    gradient = LocalWork.gradient

    def watched(self: LocalWork, client: int, number: int, names: Any) -> Done:
        done = gradient(self, client, number, names)
        seen.setdefault(client, set()).update(done.tensors)
        return done

    monkeypatch.setattr(LocalWork, "gradient", watched)
    finished = run(settings(*files, strategy=DEFT, training={"max_steps": 3}), 2, tmp_path)
    blocks = finished.result["rounds"]["blocks"]
    owners = finished.result["rounds"]["block_of_client"]
    assert sorted(owners) == [0, 1, 2]
    for client, names in seen.items():
        (layer,) = blocks[owners[client]]
        lora = {name for name in names if "lora_" in name}
        assert lora and all(f".layer.{layer - 1}." in name for name in lora)
        assert {name for name in names if "classifier" in name} == names - lora


def test_nothing_below_a_block_is_kept_for_backward(files: Files, tmp_path: Path) -> None:
    from mpiedge.model.shard import Shard  # noqa: PLC0415 - watched here only

    kept: list[tuple[bool, bool]] = []
    forward = Shard.forward

    def watched(self: Shard, x: Any, layers: range, *rest: Any) -> Any:
        y = forward(self, x, layers, *rest)
        kept.append((any("layer.0." in n for n in self.tuned), y.hidden.requires_grad))
        lowest = [n for n in self.tuned if "layer.0." in n]
        below = [each for n, each in self.parameters_of(1).items() if "lora" in n]
        assert all(p.requires_grad == bool(lowest) for p in below)
        return y

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shard, "forward", watched)
        run(settings(*files, strategy=DEFT, training={"max_steps": 2}), 2, tmp_path)
    assert {lowest for lowest, _ in kept} == {True, False}


def test_who_takes_no_part_sends_nothing(files: Files, tmp_path: Path) -> None:
    strategy = {**DEFT, "blocks": 1, "speeds": [1.0, 1.0, 5.0, 1.0]}
    finished = run(settings(*files, strategy=strategy, training={"epochs": 1}), 4, tmp_path)
    assert finished.result["rounds"]["block_of_client"] == [-1, 0, -1]
    sent = [rank["sent"].get("reply", 0) for rank in finished.result["ranks"]]
    assert [bool(each) for each in sent] == [False, False, True, False]


def test_averages_count_by_examples(files: Files, tmp_path: Path) -> None:
    strategy = {**DEFT, "name": "fedlora", "clients": 1, "local_steps": 3}
    training = {**SGD, "epochs": 1}
    one = run(settings(*files, strategy=strategy, training=training), 2, tmp_path / "fed")
    whole = run(settings(*files, training=training), 1, tmp_path / "alone")
    # A single client's average is its own: plain SGD, which keeps nothing between rounds.
    assert difference(whole, one) < 1e-6


def test_a_client_that_is_late_is_left_out_until_it_answers(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradient, rounds = LocalWork.gradient, list[tuple[int, int]]()

    def slow(self: LocalWork, client: int, number: int, names: Any) -> Done:
        rounds.append((number, client))
        if (number, client) == (2, 1):
            time.sleep(3.0)
        return gradient(self, client, number, names)

    monkeypatch.setattr(LocalWork, "gradient", slow)
    strategy = {**DEFT, "blocks": 2, "round_deadline": 1.0}
    training = {"max_steps": 40, "epochs": 10}
    finished = run(settings(*files, strategy=strategy, training=training), 4, tmp_path)
    assert len(finished.losses) == 40
    at = [number for number, client in rounds if client == 1]
    assert {0, 1, 2} <= set(at)
    assert 3 not in at  # its block is another client's
    assert {client for number, client in rounds if number == 3} == {0, 2}
    assert max(at) > 3  # and it is back once it has answered


def test_a_paced_round_takes_as_long_as_its_share_says(files: Files, tmp_path: Path) -> None:
    strategy = {**DEFT, "uplinks": [60e3, 30e3, 30e3], "pacing": True}
    finished = run(settings(*files, strategy=strategy, training={"max_steps": 3}), 4, tmp_path)
    rounds = finished.result["rounds"]
    up = sum(b / u for b, u in zip(rounds["bytes_up"], (60e3, 30e3, 30e3), strict=True))
    # All clients end together, so that the link is never idle: it takes the sum of all.
    assert rounds["paced"] is True
    assert rounds["measured_seconds"] > 0.9 * up
    free = run(
        settings(*files, strategy={**strategy, "pacing": False}, training={"max_steps": 3}),
        4,
        tmp_path / "free",
    )
    assert free.result["rounds"]["predicted_seconds"] == rounds["predicted_seconds"]
    assert difference(finished, free) == 0.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"blocks": 9}, "strategy.blocks 9 is not possible"),
        ({"blocks": 3, "clients": 2}, "3 blocks are more than the 2 devices"),
        ({"uplinks": [1e6]}, "strategy.uplinks .* has to name the bytes a second of each"),
        ({"uplinks": [1e6, -1.0, 1.0]}, "strategy.uplinks .* has to name the bytes a second"),
        ({"uplinks": [1e6, 0.0, 1e6]}, r"devices \[1\] have no bandwidth"),
    ],
)
def test_what_cannot_be(changes: dict[str, Any], said: str, files: Files, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=said):
        run(settings(*files, strategy={**DEFT, **changes}), 2, tmp_path)
