"""Whole runs of SplitLoRA: each client its own adapters, on any number of ranks."""

from pathlib import Path
from typing import Any

import pytest

from tests.models import save_tiny
from tests.runs import Finished, difference, run, settings, write_requests

SGD = {"optimizer": "sgd", "learning_rate": 2.0, "clip_norm": 0.5}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("splitlora") / "requests")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("splitlora") / "bert"
    return save_tiny("bert", folder, blocks=3, hidden_dropout_prob=0.1)


def splitlora(model: Path, data: Path, folder: Path, ranks: int, **sections: Any) -> Finished:
    changes = {"training": SGD, **sections}
    given = {"name": "splitlora", "clients": 3, "average_every": 5}
    changes["strategy"] = {**given, **sections.get("strategy", {})}
    return run(settings(model, data, **changes), ranks, folder / f"on-{ranks}")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("division", ["iid", "label"])
def test_any_number_of_ranks(
    division: str, optimizer: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    more = {
        "task": {"split": division},
        "training": SGD if optimizer == "sgd" else {"learning_rate": 1e-3},
    }
    alone = splitlora(bert, data, tmp_path, 1, **more)
    for ranks in (2, 4):
        found = splitlora(bert, data, tmp_path, ranks, **more)
        assert difference(alone, found) < 1e-5
        assert found.losses == pytest.approx(alone.losses, rel=1e-5)
        assert found.result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-5)


def test_one_client_is_plain_training(bert: Path, data: Path, tmp_path: Path) -> None:
    plain = run(settings(bert, data, training=SGD), 1, tmp_path / "plain")
    found = splitlora(bert, data, tmp_path, 2, strategy={"clients": 1})
    assert difference(plain, found) < 1e-5


def test_how_often_is_averaged_makes_a_difference(bert: Path, data: Path, tmp_path: Path) -> None:
    adamw = {"learning_rate": 0.01}
    often, never = (
        splitlora(
            bert, data, tmp_path / f"{every}", 1, strategy={"average_every": every}, training=adamw
        )
        for every in (3, 1000)
    )
    assert difference(often, never) > 1e-3


def test_gradients_return_and_labels_leave(bert: Path, data: Path, tmp_path: Path) -> None:
    found = splitlora(bert, data, tmp_path, 4)
    server, *devices = found.result["ranks"]
    assert "gradient" in server["sent"]
    for device in devices:
        assert {"activation", "labels"} <= set(device["sent"])
        assert device["layers"] == [0, 1]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("division", ["iid", "label"])
def test_in_parallel_on_any_number_of_ranks(
    division: str, optimizer: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    more = {
        "task": {"split": division},
        "training": SGD if optimizer == "sgd" else {"learning_rate": 1e-3},
        "strategy": {"visits": "parallel", "average_every": 2},
    }
    alone = splitlora(bert, data, tmp_path, 1, **more)
    for ranks in (3, 4):
        found = splitlora(bert, data, tmp_path, ranks, **more)
        assert difference(alone, found) < 1e-5
        assert found.losses == pytest.approx(alone.losses, rel=1e-5)
        assert found.result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-5)


def test_in_parallel_averaged_each_time_is_one_large_batch(data: Path, tmp_path: Path) -> None:
    """Without dropout, with clients of equal size that have one batch each."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = save_tiny("bert", tmp_path / "bert", blocks=3, **none)
    plain = {"optimizer": "sgd", "learning_rate": 2.0, "clip_norm": 0.0, "epochs": 4}
    whole = run(settings(model, data, training={**plain, "batch_size": 90}), 1, tmp_path / "plain")
    strategy = {"visits": "parallel", "average_every": 1}
    for ranks in (1, 4):
        training = {**plain, "batch_size": 30}
        found = splitlora(model, data, tmp_path, ranks, training=training, strategy=strategy)
        assert difference(whole, found) < 1e-5
        assert found.losses == pytest.approx(whole.losses, rel=1e-5)


def test_in_parallel_one_client_is_plain_training(bert: Path, data: Path, tmp_path: Path) -> None:
    plain = run(settings(bert, data, training=SGD), 1, tmp_path / "plain")
    found = splitlora(bert, data, tmp_path, 2, strategy={"clients": 1, "visits": "parallel"})
    assert difference(plain, found) < 1e-5


def test_who_has_no_batch_left_rests(bert: Path, data: Path, tmp_path: Path) -> None:
    """Clients with 5, 2 and 1 batches of an epoch: all examples come, in 5 updates."""
    rows = (data / "train.tsv").read_text(encoding="utf-8").splitlines()
    files = []
    for client, part in enumerate((rows[1:40], rows[40:52], rows[52:56])):
        path = tmp_path / f"client-{client}.tsv"
        path.write_text("\n".join([rows[0], *part]) + "\n", encoding="utf-8")
        files.append(str(path))
    more = {
        "task": {"client_files": files},
        "strategy": {"visits": "parallel", "average_every": 1000},
        "training": {"learning_rate": 1e-2},
    }
    alone, spread = (splitlora(bert, data, tmp_path, ranks, **more) for ranks in (1, 4))
    assert difference(alone, spread) < 1e-5
    assert len(alone.losses) == 5 * 2
    assert [epoch["examples"] for epoch in alone.result["epochs"]] == [55, 55]
