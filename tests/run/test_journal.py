"""The record of a run: rates, time left, epochs, scores, and what is written of them."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpiedge.run.clock import Clock
from mpiedge.run.journal import Journal
from mpiedge.run.output import Output
from mpiedge.run.progress import Scores, Step

CLOCK = Clock(examples=10, batch_size=4, epochs=2)


@dataclass
class Shown:
    """A progress that keeps what it is told."""

    steps: list[Step] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def step(self, step: Step) -> None:
        self.steps.append(step)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def evaluated(self, step: int, scores: Scores) -> None:
        self.lines.append(f"after {step}: {dict(scores)}")

    def close(self) -> None:
        return


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock on the wall."""
    wall = SimpleNamespace(time=100.0)
    monkeypatch.setattr("mpiedge.run.journal.time", SimpleNamespace(monotonic=lambda: wall.time))
    return wall


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def journal(tmp_path: Path, shown: Shown, now: SimpleNamespace) -> Journal:
    return Journal(Output(tmp_path), shown)


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_rate_and_time_left_count_from_the_first_update(
    journal: Journal, shown: Shown, now: SimpleNamespace
) -> None:
    now.time += 50  # reading the model
    journal.begin()
    now.time += 2
    journal.step(CLOCK, 0, 0.75, 1e-3)
    assert shown.steps == [Step(1, 2, 1, 6, 0.75, rate=2.0, left=10.0)]


def test_evaluations_do_not_count_as_training(
    journal: Journal, shown: Shown, now: SimpleNamespace
) -> None:
    journal.begin()
    now.time += 6
    journal.evaluated(CLOCK, 3, {"accuracy": 0.5}, took=3.0)
    now.time += 1
    journal.step(CLOCK, 3, 0.5, 1e-3)
    (step,) = shown.steps
    assert (step.epoch, step.step, step.rate, step.left) == (2, 4, 14 / 4, 2.0)


def test_every_step_and_score_is_a_line(
    journal: Journal, tmp_path: Path, shown: Shown, now: SimpleNamespace
) -> None:
    journal.begin()
    now.time += 1
    journal.step(CLOCK, 0, 0.75, 1e-3)
    journal.evaluated(CLOCK, 3, {"accuracy": 0.5, "f1": 0.25}, took=0.1)
    first, second = written(tmp_path)
    assert first == {"step": 1, "epoch": 1, "loss": 0.75, "learning_rate": 1e-3, "seconds": 1.0}
    assert second == {"step": 3, "epoch": 1.0, "evaluation": {"accuracy": 0.5, "f1": 0.25}}
    assert shown.lines == ["after 3: {'accuracy': 0.5, 'f1': 0.25}"]


def test_an_epoch_is_closed_by_its_last_portion(journal: Journal) -> None:
    journal.trained(CLOCK, 2, 2.0)
    assert journal.epochs == []
    journal.trained(CLOCK, 3, 3.0)
    journal.trained(CLOCK, 6, 4.0)
    assert journal.epochs == [
        {"epoch": 1, "seconds": 5.0, "examples": 10, "examples_per_second": 2.0},
        {"epoch": 2, "seconds": 4.0, "examples": 10, "examples_per_second": 2.5},
    ]


def test_an_epoch_cut_short_counts_what_was_trained(journal: Journal) -> None:
    clock = Clock(examples=10, batch_size=4, epochs=2, max_steps=4)
    journal.trained(clock, 3, 5.0)
    journal.trained(clock, 4, 2.0)
    assert [epoch["examples"] for epoch in journal.epochs] == [10, 4]


def test_the_result_has_the_last_scores(journal: Journal, tmp_path: Path) -> None:
    journal.evaluated(CLOCK, 3, {"accuracy": 0.5}, 0.1)
    journal.evaluated(CLOCK, 6, {"accuracy": 0.75}, 0.1)
    journal.finish({"steps": 6})
    result = json.loads((tmp_path / "result.json").read_text())
    assert result == {"metrics": {"accuracy": 0.75}, "epochs": [], "steps": 6}


def test_other_ranks_write_nothing(tmp_path: Path, shown: Shown, now: SimpleNamespace) -> None:
    journal = Journal(None, shown)
    journal.begin()
    now.time += 1
    journal.step(CLOCK, 0, 0.75, 1e-3)
    journal.evaluated(CLOCK, 3, {}, 0.1)
    journal.finish({"steps": 6})
    assert list(tmp_path.iterdir()) == []
