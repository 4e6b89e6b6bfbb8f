"""A disk that takes no more: /dev/full stands for it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.errors import BadInput, NotWritten
from mpiedge.run.job import Job, train
from mpiedge.run.journal import Journal
from mpiedge.run.output import Output
from mpiedge.run.progress import Silent
from tests.runs import difference, finished, run, settings

FULL = "/dev/full"


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def test_lines_of_the_record_wait_for_room(tmp_path: Path) -> None:
    output, record = Output(tmp_path), tmp_path / "metrics.jsonl"
    output.run_file("")
    output.line({"step": 1})
    record.rename(tmp_path / "kept")
    os.symlink(FULL, record)
    for step in (2, 3):
        with pytest.raises(OSError, match="No space left"):
            output.line({"step": step})
    (tmp_path / "kept").replace(record)
    output.line({"step": 4})
    assert record.read_text() == "".join(f'{{"step": {step}}}\n' for step in (1, 2, 3, 4))


def test_it_is_said_once(tmp_path: Path) -> None:
    heard = Heard()
    journal = Journal(Output(tmp_path), heard)
    os.symlink(FULL, tmp_path / "metrics.jsonl")
    for _ in range(3):
        journal._line({"step": 1})
    assert heard.lines == [
        "metrics.jsonl takes no more (No space left on device); its lines wait for room"
    ]


@pytest.mark.parametrize("begin", [lambda o: o.run_file("x"), lambda o: o.go_on("x", 0)])
def test_a_disk_that_is_full_at_the_start_is_a_line(
    begin: Callable[[Output], None], tmp_path: Path
) -> None:
    os.symlink(FULL, tmp_path / ".run.toml.partial")
    with pytest.raises(BadInput, match=r"cannot be written to \(No space left on device\)"):
        begin(Output(tmp_path))


@pytest.mark.parametrize("name", [".result.json.partial", "adapter/.adapter_config.json.partial"])
def test_a_result_that_cannot_be_written_is_said_and_not_lost(
    name: str, bert: Path, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections: dict[str, Any] = {"checkpoint": {"every": 3, "seconds": 0.0}}
    given, folder = settings(bert, requests, **sections), tmp_path / "out"
    if name.startswith("adapter"):

        def refuses(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("mpiedge.run.training.save_adapter", refuses)
    else:
        folder.mkdir()
        os.symlink(FULL, folder / name)

    def body(transport: ThreadTransport) -> None:
        train(given, transport, Job(folder, folder), Silent())

    with pytest.raises(NotWritten, match=rf"\(No space left on device\); make room .*{folder}"):
        run_ranks(1, body, timeout=120)
    monkeypatch.undo()
    (folder / name).unlink(missing_ok=True)
    found = run(given, 1, folder, resume=True)
    assert difference(found, run(given, 1, tmp_path / "whole")) == 0
    assert finished(folder).result["steps"] == len(found.losses)
