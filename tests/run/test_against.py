"""A plan held against a run: what is compared, and what cannot be."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mpiedge.cli.compare import compare
from mpiedge.comm.threads import alone
from mpiedge.errors import BadInput
from mpiedge.run.against import Pair, as_values, hold
from mpiedge.run.foresight import foresee, values
from mpiedge.run.opener import Opener
from mpiedge.run.output import Output
from tests.runs import Finished, run, settings

# 24 examples, 8 in a batch; a ring has a batch of each of two clients with 12.
UPDATES = {"pipeline": 3, "data-parallel": 3, "ring": 4}


@pytest.fixture(scope="module", params=["pipeline", "data-parallel", "ring"])
def strategy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def done(
    strategy: str, bert: Path, requests: Path, tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """A run on two ranks that evaluates after each epoch, and its plan beside it."""
    chosen = settings(bert, requests, strategy={"name": strategy, "interval": 0})
    folder = tmp_path_factory.mktemp("held") / strategy
    found = run(chosen, 2, folder)
    Output(folder).run_file(_toml(bert, requests, strategy))
    (folder / "result.json").write_text(json.dumps(found.result))
    plan = values(foresee(Opener(alone(5.0), ranks=2)(chosen)))
    folder.with_suffix(".json").write_text(json.dumps(plan))
    return found


def _toml(bert: Path, requests: Path, strategy: str) -> str:
    task = f'[task]\nname = "classification"\ndata = "{requests}"'
    return f'[model]\nname = "{bert}"\n{task}\n[strategy]\nname = "{strategy}"\n'


def changed(done: Finished, folder: Path, **facts: Any) -> Path:
    """The plan with other facts."""
    plan = json.loads(done.folder.with_suffix(".json").read_text())
    path = folder / "changed.json"
    path.write_text(json.dumps({**plan, **facts}))
    return path


def test_traffic_is_that_of_training_alone(done: Finished, strategy: str) -> None:
    held = hold(done.folder.with_suffix(".json"), done.folder)
    assert held.strategy == strategy
    links = [pair for pair in held.pairs if pair.unit == "messages"]
    assert links
    for pair in links:
        # A sum over two ranks is two messages each, which the ledger counts as one.
        assert pair.measured > 0
        if pair.what in ("activation", "gradient"):
            assert pair.predicted == pair.measured
    for pair in (pair for pair in held.pairs if pair.what == "activation"):
        if pair.unit == "bytes":
            messages = next(p for p in links if (p.what, p.where) == (pair.what, pair.where))
            # What a message says of itself is some 300 bytes, as much as a tiny model's tensors.
            assert pair.predicted < pair.measured < pair.predicted + 1000 * messages.measured


def test_seconds_and_memory_stand_side_by_side(done: Finished, strategy: str) -> None:
    held = hold(done.folder.with_suffix(".json"), done.folder)
    times = {(p.what, p.where): p for p in held.pairs if p.unit == "s"}
    was = [epoch["seconds"] for epoch in done.result["epochs"]]
    assert times["epoch", "first"].measured == was[0]
    assert times["epoch", "last"].measured == was[-1]
    assert times["all epochs", ""].measured == pytest.approx(sum(was))
    assert times["update", "first epoch"].measured == pytest.approx(was[0] / UPDATES[strategy])
    memory = [pair for pair in held.pairs if pair.what == "memory"]
    assert [pair.where for pair in memory] == ["rank 0", "rank 1"]
    for pair, rank in zip(memory, done.result["ranks"], strict=True):
        assert pair.measured == rank["peak_resident_bytes"]
        assert pair.predicted > rank["bare_resident_bytes"] > 0
    assert held.bare == "the run"


def test_a_profile_knows_what_a_process_needs_bare(done: Finished, tmp_path: Path) -> None:
    plan = json.loads(done.folder.with_suffix(".json").read_text())
    devices = [{**device, "bare_bytes": 7} for device in plan["devices"]]
    held = hold(changed(done, tmp_path, devices=devices), done.folder)
    assert held.bare == "the profile"
    memory = [pair.predicted for pair in held.pairs if pair.what == "memory"]
    assert memory == [7 + device["memory_bytes"]["total"] for device in devices]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"model": "another"}, "a plan with model another, and the run had model "),
        ({"ranks": 3}, "a plan with ranks 3, and the run had ranks 2"),
        ({"updates": 5}, "a plan with updates 5, and the run had updates "),
        ({"strategy": "pac"}, "a plan with strategy pac, and the run had strategy "),
        ({"epochs": [{}, {}]}, "cannot be compared: 'seconds' is missing"),
        ({"devices": None}, "cannot be compared"),
    ],
)
def test_a_plan_of_something_else(
    facts: dict[str, Any], said: str, done: Finished, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=said) as bad:
        hold(changed(done, tmp_path, **facts), done.folder)
    assert "\n" not in str(bad.value)


def test_files_that_are_not_there_or_no_plan(done: Finished, tmp_path: Path) -> None:
    plan = done.folder.with_suffix(".json")
    with pytest.raises(BadInput, match=r"none.json cannot be read \(No such file"):
        hold(tmp_path / "none.json", done.folder)
    with pytest.raises(BadInput, match="is not there; name the output directory of a run"):
        hold(plan, tmp_path / "none")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(BadInput, match="is not JSON; name the file that mpiedge plan"):
        hold(tmp_path / "a.json", done.folder)
    with pytest.raises(BadInput, match="is no plan; name the file"):
        hold(done.folder / "result.json", done.folder)
    (tmp_path / "a.json").write_text("[1]")
    with pytest.raises(BadInput, match="is no plan; name the file"):
        hold(tmp_path / "a.json", done.folder)


def test_the_best_of_several_strategies_is_taken(done: Finished, tmp_path: Path) -> None:
    plan = done.folder.with_suffix(".json")
    chosen = tmp_path / "auto.json"
    chosen.write_text(json.dumps({"strategies": [], "best": json.loads(plan.read_text())}))
    assert hold(chosen, done.folder) == hold(plan, done.folder)


def test_nothing_measured_has_no_ratio() -> None:
    assert Pair("sum", "0 to 1", "bytes", 5.0, 0.0).ratio is None
    assert Pair("sum", "0 to 1", "bytes", 5.0, 2.0).ratio == 2.5


def test_the_command_prints_both_ways(done: Finished, strategy: str) -> None:
    plan = str(done.folder.with_suffix(".json"))
    text = CliRunner().invoke(compare, [plan, str(done.folder)]).output
    assert text.startswith(f"{strategy}: predicted and measured\n")
    assert "as the run measured it" in text
    found = CliRunner().invoke(compare, [plan, str(done.folder), "--json"]).output
    assert json.loads(found) == as_values(hold(Path(plan), done.folder))
