"""Whole runs over a quantised model: the same on several ranks, and opened again as it was."""

from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from mpiedge.comm.threads import run_ranks
from mpiedge.comm.transport import Transport
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.turns import Settled
from mpiedge.run.evaluation import observe, validation_of
from mpiedge.run.examples import count, read
from mpiedge.run.reopening import reopen, settings_of
from tests.runs import Finished, difference, run, settings

BITS = pytest.mark.parametrize("quantize", ["int8", "int4"])


def finished(quantize: str, bert: Path, requests: Path, folder: Path, ranks: int = 1) -> Finished:
    name = "pipeline" if ranks > 1 else "standalone"
    given = settings(bert, requests, strategy={"name": name}, training={"epochs": 1})
    model = replace(given.model, quantize=quantize)
    return run(replace(given, model=model), ranks, folder)


@BITS
def test_one_rank_and_several_learn_the_same(
    quantize: str, bert: Path, requests: Path, tmp_path: Path
) -> None:
    alone = finished(quantize, bert, requests, tmp_path / "one")
    assert difference(alone, finished(quantize, bert, requests, tmp_path / "two", ranks=2)) == 0
    full = finished("none", bert, requests, tmp_path / "full")
    assert 0 < difference(alone, full) < 0.5


@BITS
def test_what_is_saved_has_no_quantised_weight_and_opens_over_one(
    quantize: str, bert: Path, requests: Path, tmp_path: Path
) -> None:
    trained = finished(quantize, bert, requests, tmp_path / "run")
    saved = load_file(tmp_path / "run" / "adapter" / "adapter_model.safetensors")
    assert all("lora_" in name or "classifier" in name for name in saved)
    again = settings_of(trained.folder)
    assert again.model.quantize == quantize

    def body(transport: Transport) -> dict[str, float]:
        model = reopen(trained.folder, again, transport)
        examples = read(model.opened, model.plan.starts, count(model.opened, ("validation",)))
        engine = Engine(transport, model.shard, model.opened.task, Settled())
        rows = observe(transport, engine, validation_of(model.opened, model.plan, examples))
        transport.close()
        return {} if rows is None else model.opened.task.score(rows)

    assert run_ranks(2, body)[0] == pytest.approx(trained.result["metrics"], rel=1e-6)
