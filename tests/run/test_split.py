"""Whole split runs: as centralised training above the cut, whoever has which examples."""

from pathlib import Path
from typing import Any

import pytest

from tests.models import save_tiny
from tests.runs import Finished, difference, run, settings, write_requests

SGD = {"optimizer": "sgd", "learning_rate": 0.5, "clip_norm": 0.05}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("split") / "requests")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split") / "bert"
    return save_tiny("bert", folder, blocks=4, hidden_dropout_prob=0.1)


def central(model: Path, data: Path, folder: Path, lowest: int, **sections: Any) -> Finished:
    """Plain training with adapters from block ``lowest`` on."""
    changes = {"training": SGD, **sections}
    changes["adapter"] = {"r": 4, "lowest": lowest, **sections.get("adapter", {})}
    return run(settings(model, data, **changes), 1, folder / f"central-{lowest}")


def split(model: Path, data: Path, folder: Path, ranks: int, **sections: Any) -> Finished:
    """A split run of three clients, unless the sections say otherwise."""
    changes = {
        "training": SGD,
        "cache": {"folder": str(folder / "cache")},
        **sections,
        "strategy": {"name": "split", "clients": 3, **sections.get("strategy", {})},
    }
    return run(settings(model, data, **changes), ranks, folder / f"on-{ranks}")


@pytest.fixture(scope="module")
def above_two(bert: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return central(bert, data, tmp_path_factory.mktemp("split") / "central", 3)


@pytest.mark.parametrize("division", ["iid", "dirichlet", "label"])
@pytest.mark.parametrize("laid", [(1, [2]), (2, [1, 2, 1]), (4, [1, 2, 2]), (4, [2])])
def test_it_is_centralised_training_above_the_deepest_cut(
    division: str,
    laid: tuple[int, list[int]],
    bert: Path,
    data: Path,
    tmp_path: Path,
    above_two: Finished,
) -> None:
    ranks, cuts = laid
    strategy = {"cuts": cuts, "replay": ranks != 2}
    found = split(bert, data, tmp_path, ranks, strategy=strategy, task={"split": division})
    assert difference(above_two, found) < 1e-5
    assert found.losses == pytest.approx(above_two.losses, rel=1e-5)
    assert found.result["metrics"] == pytest.approx(above_two.result["metrics"], rel=1e-5)


FAMILY_TASKS = {
    "roberta": "classification",
    "gpt2": "language",
    "llama": "language",
    "t5": "seq2seq",
    "bart": "seq2seq",
}


@pytest.mark.parametrize("family", FAMILY_TASKS)
def test_every_family(family: str, data: Path, tmp_path: Path) -> None:
    model = save_tiny(family, tmp_path / family, blocks=3, **STILL.get(family, {}))
    task = {"name": FAMILY_TASKS[family]}
    if task["name"] != "classification":
        task = {**task, "text": ["text"], "label": "label"}
    more = {"task": task, "training": {**SGD, "learning_rate": 0.1}}
    kind = {"adapter": {"kind": "bottleneck" if family == "llama" else "lora", "bottleneck": 8}}
    above = central(model, data, tmp_path, 3, **more, **kind)
    found = split(model, data, tmp_path, 3, **more, **kind, strategy={"cuts": [1, 2, 1]})
    assert difference(above, found) < 1e-5
    assert len(set(found.losses)) > 10


STILL: dict[str, dict[str, Any]] = {"t5": {"dropout_rate": 0.0}}


@pytest.mark.parametrize("cuts", [[2], [1, 2, 2]])
@pytest.mark.parametrize("ranks", [1, 3, 4])
def test_gathering_gives_the_same(
    ranks: int, cuts: list[int], bert: Path, data: Path, tmp_path: Path, above_two: Finished
) -> None:
    strategy = {"cuts": cuts, "aggregation": "gather", "server_has_data": ranks == 3}
    found = split(bert, data, tmp_path, ranks, strategy=strategy, task={"split": "label"})
    assert difference(above_two, found) < 1e-5


@pytest.mark.parametrize("aggregation", ["point-to-point", "gather"])
def test_compression_takes_less_and_changes_little(
    aggregation: str, bert: Path, data: Path, tmp_path: Path
) -> None:
    strategy = {"cuts": [2], "aggregation": aggregation, "replay": False}
    found, sizes = {}, {}
    for how, keep in (("none", 1.0), ("bfloat16", 1.0), ("int8", 1.0), ("topk", 0.25)):
        comm = {"compression": how, "keep": keep}
        found[how] = split(bert, data, tmp_path / how, 3, strategy=strategy, comm=comm)
        sizes[how] = sum(rank["bytes_sent"] for rank in found[how].result["ranks"][1:])
    assert sizes["int8"] < sizes["topk"] < sizes["bfloat16"] < 0.7 * sizes["none"]
    assert 0 < difference(found["none"], found["bfloat16"]) < 0.02
    assert 0 < difference(found["none"], found["int8"]) < 0.05
    assert 1e-3 < difference(found["none"], found["topk"]) < 0.5
