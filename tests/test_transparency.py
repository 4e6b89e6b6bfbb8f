"""The promise of every strategy: a run file gives the same weights on one rank and on several."""

from pathlib import Path
from typing import Any

import pytest

from tests.models import FAMILIES, save_tiny
from tests.runs import Finished, difference, run, settings, write_requests

SGD = {"optimizer": "sgd", "learning_rate": 1.0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_requests(tmp_path_factory.mktemp("requests"))


def _run(model: Path, data: Path, ranks: int, strategy: dict[str, Any], **more: Any) -> Finished:
    words = "-".join(map(str, (ranks, *strategy.values()))).replace(" ", "")
    folder = model.parent / f"{model.name}-{words}"
    return run(settings(model, data, strategy=strategy, **more), ranks, folder)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("bert", tmp_path_factory.mktemp("models") / "bert", blocks=3)


LAYOUTS = [
    (2, {"name": "pipeline"}),
    (3, {"name": "pipeline"}),
    (4, {"name": "pipeline"}),
    (3, {"name": "pipeline", "layers": [1, 3, 1]}),
    (2, {"name": "pipeline", "layers": [4, 1]}),
    (2, {"name": "data-parallel"}),
    (3, {"name": "data-parallel"}),
    (2, {"name": "data-parallel", "shares": [3.0, 1.0]}),
]


@pytest.fixture(scope="module")
def alone_sgd(bert: Path, data: Path) -> Finished:
    return _run(bert, data, 1, {"name": "standalone"}, training=SGD)


@pytest.mark.parametrize(("ranks", "strategy"), LAYOUTS)
def test_sgd(
    ranks: int, strategy: dict[str, Any], bert: Path, data: Path, alone_sgd: Finished
) -> None:
    together = _run(bert, data, ranks, strategy, training=SGD)
    # A pipeline adds in the same order: bit for bit.  A reduction over ranks adds in another.
    limit = 0.0 if strategy["name"] == "pipeline" else 1e-6
    assert difference(alone_sgd, together) <= limit
    assert together.losses == pytest.approx(alone_sgd.losses, rel=1e-6)
    assert len(together.losses) == 24
    raised = [weight.abs().max() for name, weight in together.weights.items() if "lora_B" in name]
    assert len(raised) == 6
    assert min(raised) > 1e-3


@pytest.fixture(scope="module")
def alone_adamw(bert: Path, data: Path) -> Finished:
    return _run(bert, data, 1, {"name": "standalone", "layers": []})


@pytest.mark.parametrize(("ranks", "strategy"), LAYOUTS)
def test_adamw(
    ranks: int, strategy: dict[str, Any], bert: Path, data: Path, alone_adamw: Finished
) -> None:
    together = _run(bert, data, ranks, strategy)
    assert difference(alone_adamw, together) < (1e-5 if strategy["name"] == "pipeline" else 1e-4)
    assert together.result["metrics"] == pytest.approx(alone_adamw.result["metrics"], rel=1e-4)


@pytest.mark.parametrize("kind", ["lora", "bottleneck", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_and_adapter(family: str, kind: str, tmp_path: Path, data: Path) -> None:
    model = save_tiny(family, tmp_path / family)
    more = {"training": {**SGD, "max_steps": 3}, "adapter": {"kind": kind}}
    alone = _run(model, data, 1, {"name": "standalone"}, **more)
    # A tied weight is summed over its ranks, so even a pipeline may add in another order.
    assert difference(alone, _run(model, data, 3, {"name": "pipeline"}, **more)) < 1e-6
    assert difference(alone, _run(model, data, 2, {"name": "data-parallel"}, **more)) < 1e-6


SIDE = {"kind": "parallel", "reduction": 2}
HYBRIDS = [
    (1, {"name": "pac"}),
    (2, {"name": "pac"}),
    (2, {"name": "pac", "groups": ["0", "1"]}),
    (3, {"name": "pac", "groups": ["2", "0,1"], "shares": [1.0, 2.0, 1.0]}),
    (4, {"name": "pac", "groups": ["0,1", "2", "3"], "layers": [1, 3, 1]}),
    (1, {"name": "pac", "record": "before"}),
    (3, {"name": "pac", "record": "before"}),
    (3, {"name": "pac", "record": "before", "groups": ["2", "0,1"], "shares": [1.0, 2.0, 1.0]}),
    (
        4,
        {"name": "pac", "record": "before", "groups": ["0", "1", "2", "3"], "layers": [1, 1, 2, 1]},
    ),
    (4, {"name": "pac", "goal": "memory"}),
]


@pytest.fixture(scope="module")
def beside(bert: Path, data: Path) -> Finished:
    more = {"adapter": SIDE, "training": {**SGD, "learning_rate": 0.1, "epochs": 3}}
    return _run(bert, data, 1, {"name": "standalone", "mixed": True}, **more)


@pytest.mark.parametrize(("ranks", "strategy"), HYBRIDS)
def test_a_side_network_by_recording_and_replaying(
    ranks: int, strategy: dict[str, Any], bert: Path, data: Path, tmp_path: Path, beside: Finished
) -> None:
    more = {"adapter": SIDE, "cache": {"folder": str(tmp_path)}}
    training = {**SGD, "learning_rate": 0.1, "epochs": 3}
    together = _run(bert, data, ranks, strategy, training=training, **more)
    assert difference(beside, together) < 1e-6
    assert together.losses == pytest.approx(beside.losses, rel=1e-5)
    assert together.result["metrics"] == pytest.approx(beside.result["metrics"], rel=1e-5)
    assert [phase["source"] for phase in together.result["plan"]] == ["record", "replay"]


def test_a_side_network_with_adamw_and_dropout(bert: Path, data: Path, tmp_path: Path) -> None:
    more = {"adapter": {**SIDE, "dropout": 0.2, "form": "B", "merge": "add"}}
    alone = _run(bert, data, 1, {"name": "standalone", "mixed": False}, **more)
    strategy = {"name": "pac", "groups": ["0,1", "2"], "mixed": True}
    cache = {"folder": str(tmp_path)}
    assert difference(alone, _run(bert, data, 3, strategy, cache=cache, **more)) < 1e-4
    still = _run(bert, data, 1, {"name": "standalone"}, adapter={**more["adapter"], "dropout": 0.0})
    assert difference(alone, still) > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_beside_a_side_network(family: str, tmp_path: Path, data: Path) -> None:
    model = save_tiny(family, tmp_path / family)
    training = {**SGD, "learning_rate": 0.1, "batch_size": 16, "micro_batch_size": 8}
    more = {"adapter": SIDE, "training": training}
    alone = _run(model, data, 1, {"name": "standalone"}, **more)
    strategy, cache = {"name": "pac", "groups": ["0", "1"]}, {"folder": str(tmp_path / "caches")}
    assert difference(alone, _run(model, data, 2, strategy, cache=cache, **more)) < 1e-6
    staged = {"name": "pac", "record": "before", "groups": ["1", "0", "2"], "mixed": True}
    assert difference(alone, _run(model, data, 3, staged, cache=cache, **more)) < 1e-6
    assert difference(alone, _run(model, data, 3, {"name": "pipeline"}, **more)) == 0.0


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout_is_the_same_on_any_number_of_ranks(
    dropout: float, tmp_path: Path, data: Path
) -> None:
    rates = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    model = save_tiny("bert", tmp_path / "bert", **rates)
    more = {"training": {**SGD, "max_steps": 8}, "adapter": {"dropout": dropout}}
    alone = _run(model, data, 1, {"name": "standalone"}, **more)
    assert difference(alone, _run(model, data, 3, {"name": "pipeline"}, **more)) < 1e-6
    assert difference(alone, _run(model, data, 2, {"name": "data-parallel"}, **more)) < 1e-6


def test_another_seed_gives_other_weights(bert: Path, data: Path, alone_sgd: Finished) -> None:
    other = _run(bert, data, 1, {"name": "standalone"}, training={**SGD, "seed": 1})
    assert difference(alone_sgd, other) > 1e-3


def test_clipping_by_the_global_norm_holds_over_ranks(
    tmp_path: Path, data: Path, bert: Path
) -> None:
    clipped = {"training": {**SGD, "clip_norm": 0.05, "max_steps": 6}}
    free = {"training": {**SGD, "clip_norm": 0.0, "max_steps": 6}}
    alone = _run(bert, data, 1, {"name": "standalone"}, **clipped)
    assert difference(alone, _run(bert, data, 3, {"name": "pipeline"}, **clipped)) < 1e-6
    assert difference(alone, _run(bert, data, 2, {"name": "data-parallel"}, **clipped)) < 1e-6
    assert difference(alone, _run(bert, data, 2, {"name": "pipeline"}, **free)) > 1e-3


def test_a_batch_larger_than_the_data_is_all_of_it(bert: Path, data: Path) -> None:
    sizes = {"training": {**SGD, "batch_size": 500, "micro_batch_size": 32}}
    alone = _run(bert, data, 1, {"name": "standalone"}, **sizes)
    assert len(alone.losses) == 2
    assert difference(alone, _run(bert, data, 3, {"name": "pipeline"}, **sizes)) == 0.0


TURNS = [
    {"turn": "batch"},
    {"turn": "batch", "turn_batches": 3, "step": 2},
    {"turn": "epoch", "depths": [2, 3]},
    {"turn": "data", "depth": 3},
    {"unfreeze": "plateau", "patience": 3, "tolerance": 0.5},
]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("turns", TURNS)
def test_ring(turns: dict[str, Any], optimizer: str, tmp_path: Path, data: Path) -> None:
    """Batches in the ring, one after the other on one rank: dropout, clipping and all."""
    rates = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
    model = save_tiny("bert", tmp_path / "bert", blocks=3, **rates)
    strategy = {"name": "ring", "clients": 3, "interval": 5, **turns}
    sgd = {**SGD, "clip_norm": 0.5} if optimizer == "sgd" else {}
    more = {"training": sgd, "adapter": {"kind": "bottleneck", "bottleneck": 8}}
    alone = _run(model, data, 1, strategy, **more)
    for ranks in (2, 3):
        together = _run(model, data, ranks, strategy, **more)
        assert difference(alone, together) < 1e-6
        assert together.losses == pytest.approx(alone.losses, rel=1e-6)
        assert together.result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-6)
    assert len(alone.losses) == 24
    raised = [weight.abs().max() for name, weight in alone.weights.items() if "_up.weight" in name]
    assert max(raised) > 1e-3


SPLITS = [
    {"cuts": [1, 2, 1]},
    {"aggregation": "gather", "window": 20},
    {"name": "splitlora", "average_every": 5},
    {"name": "splitlora", "average_every": 2, "visits": "parallel"},
]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("split", SPLITS)
def test_split(split: dict[str, Any], optimizer: str, tmp_path: Path, data: Path) -> None:
    """Clients on devices of their own, or all on one rank: dropout, clipping and all."""
    rates = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}
    model = save_tiny("bert", tmp_path / "bert", blocks=4, **rates)
    strategy = {"name": "split", "clients": 3, **split}
    more = {
        "training": {**SGD, "clip_norm": 0.5} if optimizer == "sgd" else {},
        "task": {"split": "label"},
        "cache": {"folder": str(tmp_path / "cache")},
    }
    alone = _run(model, data, 1, strategy, **more)
    for ranks in (2, 4):
        together = _run(model, data, ranks, strategy, **more)
        assert difference(alone, together) < (1e-5 if optimizer == "sgd" else 1e-4)
        assert together.losses == pytest.approx(alone.losses, rel=1e-5)
        assert together.result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-4)
