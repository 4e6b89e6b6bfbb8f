"""The course of a run for other programs."""

import csv
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.errors import BadInput
from mpiedge.run.job import Job, train
from mpiedge.run.progress import Silent, Step
from mpiedge.run.reporting import Table, TensorBoard, reports
from tests.runs import Finished, finished, settings


def at(step: int) -> Step:
    return Step(epoch=1, epochs=2, step=step, steps=9, loss=0.5 / step, rate=3.0, left=12.0)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def curve(folder: Path, name: str) -> list[tuple[int, float]]:
    """A curve as TensorBoard would draw it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_a_run_writes_both(bert: Path, requests: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"training": {"report_to": ["tensorboard", "csv"], "epochs": 1}}
    given = settings(bert, requests, strategy={"name": "pipeline"}, **sections)
    folder = tmp_path / "out"

    def body(transport: ThreadTransport) -> Finished | None:
        train(given, transport, Job(folder, folder), Silent())
        transport.close()
        return None

    for _ in range(2):  # the second run replaces what the first one wrote
        run_ranks(2, body, timeout=120)
        one = finished(folder)
        steps, scores = rows(folder / "steps.csv"), rows(folder / "evaluations.csv")
        assert [int(row["step"]) for row in steps] == list(range(1, len(one.losses) + 1))
        assert [float(row["loss"]) for row in steps] == one.losses
        assert {"epoch", "learning_rate", "examples_per_second", "seconds"} < steps[0].keys()
        assert float(scores[-1]["accuracy"]) == one.result["metrics"]["accuracy"]
        losses = curve(folder, "train/loss")
        assert [step for step, _ in losses] == [int(row["step"]) for row in steps]
        assert [value for _, value in losses] == pytest.approx(one.losses, rel=1e-6)
        ((step, accuracy),) = curve(folder, "evaluation/accuracy")
        assert step == len(steps)
        assert accuracy == pytest.approx(one.result["metrics"]["accuracy"])


def test_both_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    for first, last, done in ((1, 6, 0), (5, 8, 4)):
        for report in reports(["csv", "tensorboard", "csv"], tmp_path):
            report.begin(done)
            for step in range(first, last):
                report.step(at(step), 0.1, 1.0)
            report.evaluated(last, {"accuracy": 0.5, "f1": 0.25})
            report.close()
    wanted = [1, 2, 3, 4, 5, 6, 7]
    assert [int(row["step"]) for row in rows(tmp_path / "steps.csv")] == wanted
    assert [step for step, _ in curve(tmp_path, "train/loss")] == wanted
    assert rows(tmp_path / "evaluations.csv") == [{"step": "8", "accuracy": "0.5", "f1": "0.25"}]


def test_a_row_that_was_cut_short_goes(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.begin(0)
    table.step(at(1), 0.1, 1.0)
    with (tmp_path / "steps.csv").open("a", encoding="utf-8") as file:
        file.write("2")
    table.begin(3)
    assert [row["step"] for row in rows(tmp_path / "steps.csv")] == ["1"]


def test_without_its_library_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reports([], tmp_path) == ()
    assert isinstance(reports(["tensorboard"], tmp_path)[0], TensorBoard)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pip install 'mpiedge\[tensorboard\]', or take it out"):
        reports(["tensorboard"], tmp_path)


def test_another_name_is_refused(bert: Path, requests: Path) -> None:
    with pytest.raises(BadInput, match="report_to = 'tensorbord' is not one of .*did you mean"):
        settings(bert, requests, training={"report_to": ["csv", "tensorbord"]})
