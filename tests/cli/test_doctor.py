"""``mpiedge doctor``: what it prints, and its exit code."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner

from mpiedge.cli import doctor
from mpiedge.doctor.findings import Finding
from mpiedge.doctor.report import Report
from tests.doctor.ward import LINK, WELL


def shown(report: Report | None, *words: str, monkeypatch: pytest.MonkeyPatch) -> tuple[str, int]:
    monkeypatch.setattr(doctor, "_report", lambda timeout: report)
    result = CliRunner().invoke(doctor.doctor, words)
    return result.output, result.exit_code


def test_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    text, code = shown(Report((WELL,), (LINK,), ()), monkeypatch=monkeypatch)
    assert code == 0
    assert "Nothing is wrong." in text


def test_something_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report((WELL,), (), (Finding("torch is missing", "pip install torch"),))
    text, code = shown(report, monkeypatch=monkeypatch)
    assert code == 1
    assert "WRONG: torch is missing\n  mend: pip install torch" in text


def test_for_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report((WELL,), (LINK,), ())
    text, code = shown(report, "--json", monkeypatch=monkeypatch)
    assert code == 0
    assert json.loads(text)["links"][0]["bandwidth"] == LINK.bandwidth


def test_ranks_that_do_not_speak_print_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(None, monkeypatch=monkeypatch) == ("", 0)


def test_without_torch_it_still_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "alone", lambda rank, mpi: Report((WELL,), (), ()))
    monkeypatch.setattr(doctor, "asked_mpi", lambda: WELL.mpi)
    assert doctor._report(1.0) == Report((replace(WELL),), (), ())


def test_two_ranks_over_mpi_are_seen_and_their_link_is_timed() -> None:
    words = ("launch", "-n", "2", "--", "doctor", "--json")
    done = subprocess.run(
        (sys.executable, "-m", "mpiedge", *words),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    report = json.loads(done.stdout)
    assert [rank["rank"] for rank in report["ranks"]] == [0, 1]
    (link,) = report["links"]
    assert (link["first"], link["second"]) == (0, 1)
    assert link["latency"] > 0
    assert link["bandwidth"] > 0
    assert done.returncode == (1 if report["findings"] else 0)
    assert "mpirun" in done.stderr
