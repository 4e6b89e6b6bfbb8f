"""What a rank finds out about itself."""

import subprocess
import sys
from pathlib import Path

import pytest

import mpiedge
from mpiedge.cgroup import total_memory
from mpiedge.doctor import facts as module
from mpiedge.doctor.facts import Mpi, asked_mpi, facts, first_line


def test_this_process() -> None:
    own = facts(2, Mpi("some MPI"))
    assert own.rank == 2
    assert own.python.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert own.versions["mpiedge"] == mpiedge.__version__
    assert "torch" in own.versions
    assert own.mpi.library == "some MPI"
    assert own.board.memory == total_memory()
    assert 0 < own.board.free <= own.board.memory
    assert own.board.cores >= 1
    assert own.board.processor


def test_packages_that_are_missing_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("torch", "no-such-package"))
    assert set(facts(0, Mpi()).versions) == {"mpiedge", "torch"}


def asks(script: str, monkeypatch: pytest.MonkeyPatch) -> Mpi:
    monkeypatch.setattr(module, "ASK_MPI", script)
    return asked_mpi()


def test_mpi_is_asked_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asks("print('[\"MPI 9, of today\", true]')", monkeypatch) == Mpi("MPI 9", True)
    broken = asks("import sys; sys.exit('Traceback\\nno library')", monkeypatch)
    assert broken == Mpi(trouble="no library")
    dead = asks("import os; os.abort()", monkeypatch)
    assert dead.trouble == "exit code -6"


def test_an_mpi_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 60)

    monkeypatch.setattr(subprocess, "run", hang)
    assert asked_mpi().trouble == "it did not answer for 60 s"


@pytest.mark.parametrize(
    "library", ["Open MPI v5.0.11, package: x, ident\0", "\nOpen MPI v5.0.11\nmore"]
)
def test_first_line(library: str) -> None:
    assert first_line(library) == "Open MPI v5.0.11"


def test_no_cuda_no_devices() -> None:
    cuda = Path("/dev/nvidia0").exists()
    assert bool(module.board().devices) == cuda
