"""A failure that nobody foresaw is one line, and its trace is not lost."""

import re
import tempfile
from pathlib import Path

import pytest

from mpiedge import trace
from mpiedge.__main__ import main


@pytest.fixture(autouse=True)
def not_debugging(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(trace.VARIABLE, "")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError("what\nis this")

    monkeypatch.setattr("mpiedge.cli.settings.described", fails)


@pytest.mark.usefixtures("broken")
def test_a_command_says_it_in_a_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["settings"]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    found = re.match(
        r"mpiedge: KeyError: 'what\\nis this'; not foreseen: its trace is in (\S+),", said
    )
    assert found is not None, said
    assert Path(found[1]).parent == tmp_path
    assert Path(found[1]).read_text(encoding="utf-8").startswith("Traceback")


@pytest.mark.usefixtures("broken")
def test_with_debug_the_trace_is_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["--debug", "settings"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_a_file_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    assert trace.told(ValueError()).endswith("ValueError")


def test_a_failure_without_words(tmp_path: Path) -> None:
    assert trace.told(ValueError()).startswith("ValueError; not foreseen: its trace is in ")
