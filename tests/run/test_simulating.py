"""Some batches of a run, played and drawn."""

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import alone
from mpiedge.errors import BadInput
from mpiedge.run import drawing
from mpiedge.run.foresight import foresee
from mpiedge.run.opener import Opener
from mpiedge.run.opening import Opened
from mpiedge.run.simulating import as_values, simulate_run
from tests.runs import settings


def opened(bert: Path, requests: Path, **sections: dict[str, Any]) -> Opened:
    return Opener(alone(5.0), ranks=2)(settings(bert, requests, **sections))


def test_an_epoch_is_played_as_it_is_foreseen(bert: Path, requests: Path) -> None:
    run = opened(bert, requests, strategy={"name": "pipeline"})
    one, foreseen = simulate_run(run, 1, 3), foresee(run)
    # 24 examples, 8 in a batch: an epoch has three.
    assert one.found.seconds == pytest.approx(foreseen.first.seconds)
    assert {rank: use.busy for rank, use in one.found.ranks.items()} == pytest.approx(
        foreseen.first.busy
    )
    values = json.loads(json.dumps(as_values(one)))
    assert [each["rank"] for each in values["ranks"]] == [0, 1]
    for each in values["ranks"]:
        assert each["utilisation"] == pytest.approx(each["busy_seconds"] / values["seconds"])
        assert each["bubble"] == pytest.approx(1 - each["utilisation"])


def test_a_later_phase_is_cheaper_where_it_replays(bert: Path, requests: Path) -> None:
    adapter = {"kind": "parallel", "reduction": 4}
    run = opened(bert, requests, adapter=adapter, strategy={"name": "pac"})
    record, replay = simulate_run(run, 1, 2), simulate_run(run, 2, 2)
    assert (record.phase, replay.phase, replay.phases) == (1, 2, 2)
    assert replay.found.seconds < record.found.seconds
    with pytest.raises(BadInput, match="--phase 3 is more than the 2 phases of this pac run"):
        simulate_run(run, 3, 2)


def test_no_more_batches_than_the_phase_has(bert: Path, requests: Path) -> None:
    run = opened(bert, requests, strategy={"name": "pipeline"}, training={"max_steps": 2})
    assert simulate_run(run, 1, 50).part.batches == 2


def test_rounds_have_no_schedule(bert: Path, requests: Path) -> None:
    run = opened(bert, requests, strategy={"name": "deft"})
    with pytest.raises(BadInput, match="strategy deft works in rounds"):
        simulate_run(run, 1, 1)


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_it_is_drawn(name: str, start: bytes, bert: Path, requests: Path, tmp_path: Path) -> None:
    one = simulate_run(opened(bert, requests, strategy={"name": "pipeline"}), 1, 2)
    drawing.check(tmp_path / name)
    drawing.draw(one, tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(start)
    assert len(content) > 5000


def test_what_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="a picture ends with .png or .svg"):
        drawing.check(tmp_path / "a.gif")
    monkeypatch.setattr(drawing, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="matplotlib, which draws the picture, is not installed"):
        drawing.check(tmp_path / "a.png")


def test_drawing_is_not_needed_to_play(
    bert: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        assert not name.startswith("matplotlib")
        return plain(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert (
        simulate_run(opened(bert, requests, strategy={"name": "pipeline"}), 1, 1).found.seconds > 0
    )
