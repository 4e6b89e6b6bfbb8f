"""Ranks that run another program."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpiedge.testbed import program


def rank(folder: Path, number: int, *command: str) -> subprocess.Popen[bytes]:
    words = (sys.executable, "-m", "mpiedge.testbed.program", *command)
    environment = {
        **os.environ,
        "MPIEDGE_ENDED": str(folder / "ended"),
        "OMPI_COMM_WORLD_RANK": str(number),
    }
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_rank_0_reports_how_its_program_ended(tmp_path: Path, script: str, code: int) -> None:
    process = rank(tmp_path, 0, "sh", "-c", script)
    process.communicate(timeout=20)
    assert process.returncode == code
    assert json.loads((tmp_path / "ended").read_text()) == {"exit_code": code}


def test_other_ranks_do_not_report(tmp_path: Path) -> None:
    process = rank(tmp_path, 1, "sh", "-c", "exit 7")
    process.communicate(timeout=20)
    assert process.returncode == 7
    assert not (tmp_path / "ended").exists()


def test_who_is_told_to_end_has_no_result(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    process = rank(
        tmp_path, 0, "sh", "-c", f"trap 'exit 5' TERM; touch {ready}; sleep 20 >&- 2>&- & wait"
    )
    while not ready.exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 5
    assert not (tmp_path / "ended").exists()


def test_a_program_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["/no/such"]) == 127
    assert capsys.readouterr().err == (
        "mpiedge: /no/such cannot be run: No such file or directory\n"
    )
