"""What a monitor reads of a run, and when."""

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpiedge.run.progress import Step
from mpiedge.run.status import NAME, Status


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / NAME).read_text(encoding="utf-8")))


def at(step: int) -> Step:
    return Step(epoch=1, epochs=2, step=step, steps=9, loss=0.5, rate=3.0, left=12.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock on the wall."""
    wall = SimpleNamespace(now=100.0)
    times = SimpleNamespace(monotonic=lambda: wall.now, time=time.time)
    monkeypatch.setattr("mpiedge.run.status.time", times)
    return wall


def test_nothing_is_written_before_the_folder_is_the_runs(tmp_path: Path) -> None:
    status = Status(tmp_path)
    status.state("failed")
    status.step(at(9))
    assert list(tmp_path.iterdir()) == []
    status.begin(3)
    assert read(tmp_path)["ranks"] == 3


def test_updates_are_written_once_a_second_and_the_last_at_once(
    clock: SimpleNamespace, tmp_path: Path
) -> None:
    status, seen = Status(tmp_path), []
    status.phase(2, 3)
    status.begin(1, checkpoint=4)
    for step, now in ((5, 100.4), (6, 101.1), (7, 101.2), (9, 101.3)):
        clock.now = now
        status.step(at(step))
        seen.append(read(tmp_path).get("step"))
    assert seen == [None, 6, 6, 9]
    found = read(tmp_path)
    assert found.pop("time") == pytest.approx(time.time(), abs=60)
    assert found == {
        "state": "training",
        "checkpoint": 4,
        "ranks": 1,
        "phase": 2,
        "phases": 3,
        "epoch": 1,
        "epochs": 2,
        "step": 9,
        "steps": 9,
        "loss": 0.5,
        "examples_per_second": 3.0,
        "seconds_left": 12.0,
    }


def test_states_and_checkpoints_are_written_at_once(tmp_path: Path) -> None:
    status = Status(tmp_path)
    status.begin(1)
    status.checkpoint(7)
    status.state("evaluating")
    assert (read(tmp_path)["state"], read(tmp_path)["checkpoint"]) == ("evaluating", 7)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_ranks_without_a_folder_write_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    status = Status(None)
    status.begin(2)
    status.state("finished")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_ends_nothing(tmp_path: Path) -> None:
    status = Status(tmp_path / "gone")
    status.begin(1)
    assert not (tmp_path / "gone").exists()
