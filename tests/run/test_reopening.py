"""A finished run opened again, on as many ranks as there are now."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.errors import BadInput
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.turns import Settled
from mpiedge.run.evaluation import observe, validation_of
from mpiedge.run.examples import count, read
from mpiedge.run.reopening import reopen, settings_of
from tests.runs import Finished, run, settings


@pytest.fixture(scope="module", params=["lora", "bottleneck", "full"])
def trained(
    request: pytest.FixtureRequest,
    bert: Path,
    requests: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Finished:
    """A short run on two ranks of which the scores have changed."""
    given = settings(
        bert, requests, strategy={"name": "data-parallel"}, adapter={"kind": request.param}
    )
    return run(given, 2, tmp_path_factory.mktemp("trained") / "out")


def scores(folder: Path, ranks: int) -> dict[str, float]:
    """The metrics of a finished run, measured again."""

    def body(transport: Transport) -> dict[str, float]:
        model = reopen(folder, settings_of(folder), transport)
        opened = model.opened
        examples = read(opened, model.plan.starts, count(opened, ("validation",)))
        assert len(examples.train) == 0
        engine = Engine(transport, model.shard, opened.task, Settled())
        rows = observe(transport, engine, validation_of(opened, model.plan, examples))
        transport.close()
        return {} if rows is None else opened.task.score(rows)

    return run_ranks(ranks, body)[0]


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_scores_are_those_at_the_end_of_training(trained: Finished, ranks: int) -> None:
    assert scores(trained.folder, ranks) == pytest.approx(trained.result["metrics"], rel=1e-6)


@pytest.mark.parametrize("ranks", [1, 2])
def test_every_tuned_weight_is_the_saved_one(trained: Finished, ranks: int) -> None:
    def body(transport: Transport) -> dict[str, torch.Tensor]:
        model = reopen(trained.folder, settings_of(trained.folder), transport)
        assert model.plan.trainers == {}
        return {name: p.detach() for name, p in model.shard.tuned_parameters().items()}

    found = [tensor for weights in run_ranks(ranks, body) for tensor in weights.values()]
    sums = sorted(float(tensor.double().sum()) for tensor in found)
    assert sums == sorted(float(tensor.double().sum()) for tensor in trained.weights.values())


def test_no_run_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no run.toml; name the output directory"):
        settings_of(tmp_path)


def refused(folder: Path, **adapter: Any) -> str:
    """What both ranks say of a run that cannot be opened."""
    given = settings_of(folder)
    given = replace(given, adapter=replace(given.adapter, **adapter))

    def body(transport: Transport) -> str:
        with pytest.raises(BadInput) as bad:
            reopen(folder, given, transport)
        return str(bad.value)

    one, other = run_ranks(2, body)
    assert one == other
    assert "\n" not in one
    return one


@pytest.fixture
def copy(trained: Finished, tmp_path: Path) -> Path:
    return shutil.copytree(trained.folder, tmp_path / "copy")


OTHER: dict[str, dict[str, Any]] = {
    "lora": {"r": 8},
    "bottleneck": {"bottleneck": 8},
    "full": {"kind": "lora"},
}


def test_another_adapter_than_the_run_file_says(copy: Path) -> None:
    said = refused(copy, **OTHER[settings_of(copy).adapter.kind])
    assert str(copy / "adapter") in said


def test_an_adapter_that_is_gone_or_damaged(copy: Path) -> None:
    (weights,) = (copy / "adapter").glob("*.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert str(copy / "adapter") in refused(copy)
    shutil.rmtree(copy / "adapter")
    assert str(copy / "adapter") in refused(copy)


def test_the_run_file_that_is_kept_names_the_labels(trained: Finished) -> None:
    assert settings_of(trained.folder).task.labels == trained.result["labels"]
    assert sorted(trained.result["labels"]) == ["off", "on", "other"]
