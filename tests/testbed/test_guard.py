"""Testbeds that go down with their command, however it ends."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed import guard
from mpiedge.testbed.guard import RELEASE, guarded
from mpiedge.testbed.standing import Standing, claim, load, myself
from tests.testbed.files import standing


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The testbeds that would have been built."""
    found: list[str] = []
    monkeypatch.setattr(guard, "build", lambda standing: found.append(standing.cluster))
    return found


def watched(place: Standing, token: str, said: bytes) -> int:
    """Run the guard of a testbed until its command has said its last word."""
    words = (sys.executable, "-m", "mpiedge.testbed.guard", str(place.folder), token)
    return subprocess.run(words, input=said, check=False, timeout=30).returncode


@pytest.mark.parametrize(
    ("token", "said", "stays"),
    [("abc123", b"", False), ("abc123", RELEASE, True), ("def456", b"", True)],
)
def test_what_a_command_leaves_is_taken_down(
    tmp_path: Path, token: str, said: bytes, stays: bool
) -> None:
    place = standing(tmp_path, myself())
    claim(place)
    assert watched(place, token, said) == 0
    assert place.folder.exists() == stays


def test_there_may_be_nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard.sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    monkeypatch.setattr(guard.signal, "signal", lambda *_: None)
    assert guard.main([str(tmp_path / "none"), "abc123"]) == 0


def test_it_goes_down_with_its_block(tmp_path: Path, built: list[str]) -> None:
    place = standing(tmp_path, myself())
    with guarded(place):
        assert built == ["pair"]
        assert load(place.folder) == place
    assert not place.root.exists()


def test_it_stays_if_it_is_told_to(tmp_path: Path, built: list[str]) -> None:
    place = standing(tmp_path, myself())
    with guarded(place) as stays:
        stays()
    assert built == ["pair"]
    found = load(place.folder)
    assert found is not None
    assert found.owner is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it(tmp_path: Path, built: list[str], number: signal.Signals) -> None:
    place = standing(tmp_path, myself())
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as raised, guarded(place):
        os.kill(os.getpid(), number)
    assert raised.value.code == 128 + number
    assert built == ["pair"]
    assert not place.root.exists()
    assert signal.getsignal(number) == before


def test_what_cannot_be_built_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Standing) -> None:
        raise BadInput("'ip' failed")

    monkeypatch.setattr(guard, "build", fail)
    place = standing(tmp_path, myself())
    with pytest.raises(BadInput, match="'ip' failed"), guarded(place):
        raise AssertionError("it was built")
    assert not place.root.exists()


def test_a_signal_while_it_is_built_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "build", lambda _: os.kill(os.getpid(), signal.SIGTERM))
    place = standing(tmp_path, myself())
    with pytest.raises(SystemExit), guarded(place):
        raise AssertionError("it was built")
    assert not place.root.exists()


def test_a_name_in_use_is_not_taken_down(tmp_path: Path, built: list[str]) -> None:
    first = standing(tmp_path)
    claim(first)
    second = Standing(**{**vars(first), "token": "def456", "owner": myself()})
    with pytest.raises(BadInput, match="the name pair is in use"), guarded(second):
        raise AssertionError("it was built")
    assert built == []
    assert load(first.folder) == first
