"""The file that says how a job ended."""

from pathlib import Path

import pytest

from mpiedge.launch import ended


def test_a_report_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "ended.json"
    monkeypatch.setenv(ended.VARIABLE, str(place))
    assert ended.read(place) is None
    ended.report(3)
    assert ended.read(place) == 3
    assert list(tmp_path.iterdir()) == [place]


def test_the_first_report_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "ended.json"
    monkeypatch.setenv(ended.VARIABLE, str(place))
    ended.report(0)
    ended.report(1)
    assert ended.read(place) == 0


def test_without_a_launcher_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ended.VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    ended.report(0)
    assert list(tmp_path.iterdir()) == []


def test_a_launcher_that_has_gone_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ended.VARIABLE, str(tmp_path / "gone" / "ended.json"))
    ended.report(0)
    assert not (tmp_path / "gone").exists()
