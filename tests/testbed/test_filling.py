"""Filling a memory, without filling one."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpiedge.testbed import filling
from mpiedge.testbed.groups import Trees


def test_it_takes_more_until_something_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "STEP", 4096)
    looks = iter([False, False, True, True])
    assert filling.fill(lambda: next(looks), lambda: True, seconds=60.0)
    assert next(looks, None) is None


def test_it_gives_up_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "STEP", 4096)
    assert not filling.fill(lambda: False, lambda: True, seconds=0.02)


def test_it_takes_nothing_where_nothing_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "STEP", 2**62)  # no machine has that
    assert not filling.fill(lambda: False, lambda: False, seconds=0.02)


def test_something_else_runs(tmp_path: Path) -> None:
    at = Trees(2, tmp_path, tmp_path)
    (tmp_path / "cgroup.procs").write_text("1\n")
    assert not filling.spare(at)
    (tmp_path / "cgroup.procs").write_text("1\n2\n")
    assert filling.spare(at)


def test_the_largest_is_offered_to_the_kernel_and_taken_back() -> None:
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as other:
        score = Path(f"/proc/{other.pid}/oom_score_adj")
        if not score.exists():
            other.kill()
            pytest.skip("not Linux")
        before = score.read_text()
        with filling.offered(other.pid):
            assert score.read_text() == "1000\n"
        assert score.read_text() == before
        assert filling.largest([other.pid, os.getpid(), 2**30]) == os.getpid()
        other.kill()
    assert filling.largest([2**30]) is None
    with filling.offered(2**30):
        pass


def test_the_program_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup.procs").write_text("")
    monkeypatch.setattr(filling, "OWN", tmp_path / "score")
    began = time.monotonic()
    assert filling.main(["2", str(tmp_path), "0.1"]) == 1
    assert time.monotonic() - began >= 0.1
