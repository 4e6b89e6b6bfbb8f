"""However a rank fails, the job ends soon, says why once, and not with success."""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import NoReturn

import pytest

from mpiedge.comm.failure import (
    BAD_INPUT,
    FAILED,
    INTERRUPTED,
    TERMINATED,
    _failing_together,
    ends_job,
)
from mpiedge.comm.interruption import interruptible
from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.comm.values import SharedBadInput
from mpiedge.errors import BadInput, NotRead, NotWritten, RankLost
from mpiedge.trace import VARIABLE
from tests.mpirun import mpirun

PROGRAM = Path(__file__).with_name("failing_program.py")
START = 60.0  # seconds; far more than importing torch takes on a busy machine
mpi_skip = pytest.mark.mpi_skip


def fail(way: str, *, ranks: int = 2, within: float = 5.0) -> subprocess.CompletedProcess[str]:
    """Let a rank fail; the job must end in ``within`` seconds from then."""
    done = mpirun(ranks, PROGRAM, way, limit=START)
    failed_at = float(done.stdout.splitlines()[0])
    assert time.time() - failed_at < within
    return done


@mpi_skip
def test_an_exception_ends_the_job_with_one_line_and_keeps_its_trace() -> None:
    done = fail("raises")
    assert done.returncode == FAILED
    assert "Traceback" not in done.stderr
    name = f"rank 1 of 2 on {os.uname().nodename}"
    line = rf"^{name}: ZeroDivisionError: of rank 1; not foreseen: its trace is in (\S+), or is "
    (path,) = re.findall(line, done.stderr, re.M)
    kept = Path(path).read_text(encoding="utf-8")
    Path(path).unlink()
    assert kept.startswith("Traceback")
    assert kept.endswith("ZeroDivisionError: of rank 1\n")


@mpi_skip
def test_an_exit_of_one_rank_ends_the_job_with_its_code() -> None:
    done = fail("exits")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


@mpi_skip
def test_a_killed_rank_ends_the_job() -> None:
    done = fail("is_killed")
    assert done.returncode == 128 + signal.SIGKILL
    assert "Traceback" not in done.stderr


@mpi_skip
@pytest.mark.parametrize(
    ("way", "code"), [("is_terminated", TERMINATED), ("is_interrupted", INTERRUPTED)]
)
def test_a_signal_ends_the_job_quietly(way: str, code: int) -> None:
    done = fail(way)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@mpi_skip
def test_a_frozen_rank_is_named_by_those_who_wait() -> None:
    done = fail("is_frozen", ranks=3, within=10)
    assert done.returncode == FAILED
    assert "s for rank 1 on" in done.stderr
    assert "it is silent (killed, frozen or cut off), or raise comm.timeout (2)" in done.stderr
    assert "Traceback" not in done.stderr


@mpi_skip
def test_a_circle_of_waits_is_named_as_one() -> None:
    done = fail("waits_in_a_circle", within=10)
    assert done.returncode == FAILED
    assert "activation of micro-batch 3 entering stage 1; it waits itself, for rank" in done.stderr


@mpi_skip
def test_a_rank_that_never_starts_is_not_waited_for() -> None:
    done = fail("never_starts", within=25)
    assert done.returncode != 0
    assert "Timeout (0:00:10)!" in done.stderr


@mpi_skip
def test_bad_input_of_one_rank_is_one_line() -> None:
    done = fail("has_bad_input")
    assert done.returncode == BAD_INPUT
    assert f"rank 1 of 2 on {os.uname().nodename}: layers: 99; give at most 6\n" in done.stderr
    assert "Traceback" not in done.stderr


@mpi_skip
def test_bad_input_found_together_lets_every_rank_end_by_itself() -> None:
    done = fail("has_bad_input_found_together")
    assert done.returncode == BAD_INPUT
    line = f"rank 1 on {os.uname().nodename}: layers: 99; give at most 6"
    assert done.stderr.splitlines()[0] == line
    assert "MPI_ABORT" not in done.stderr


def test_a_run_alone_raises_as_any_program() -> None:
    for failure in (ValueError("x"), BadInput("y"), SharedBadInput("z")):
        with pytest.raises(type(failure), match=str(failure)), ends_job(alone()):
            raise failure


def test_a_run_alone_ends_quietly_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, ends_job(alone()):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    assert ended.value.code == TERMINATED
    with pytest.raises(SystemExit) as ended, ends_job(alone()):
        raise KeyboardInterrupt
    assert ended.value.code == INTERRUPTED
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err == ""


def test_a_failing_rank_is_described_and_aborts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")

    def body(transport: ThreadTransport) -> None:
        with ends_job(transport):
            if transport.rank == 1:
                raise ZeroDivisionError("here")

    with pytest.raises(SystemExit) as ended:
        run_ranks(2, body)
    assert ended.value.code == FAILED
    printed = capsys.readouterr().err
    assert printed.startswith(f"rank 1 of 2 on {os.uname().nodename}:\nTraceback")
    assert printed.endswith("ZeroDivisionError: here\n")


class _EndedByAnother(ThreadTransport):
    """A rank that, as it begins to end the job, is itself ended by a rank that failed first."""

    codes: list[int]

    def abort(self, code: int) -> NoReturn:
        self.codes.append(code)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        super().abort(code)


def test_two_ranks_that_fail_at_once_end_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    # Signals reach the main thread only, so the rank is made and run here.
    transport = object.__new__(_EndedByAnother)
    transport.rank, transport.size, transport.codes = 0, 2, []
    with pytest.raises(SystemExit) as ended, ends_job(transport):
        raise RankLost("rank 0 waited")
    assert ended.value.code == TERMINATED
    assert transport.codes == [FAILED, TERMINATED]
    assert capsys.readouterr().err == "rank 0 waited\n"


class _AbortReturns(ThreadTransport):
    """A rank of a job that is being ended already, where MPI's abort does nothing more."""

    def abort(self, code: int) -> NoReturn:
        return None  # type: ignore[return-value]


class _EndedAfterwards(_AbortReturns):
    """One that a rank which failed first ends when its own end has begun."""

    def abort(self, code: int) -> NoReturn:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
        return None  # type: ignore[return-value]


def test_a_rank_that_is_ending_is_not_disturbed(capsys: pytest.CaptureFixture[str]) -> None:
    transport = object.__new__(_EndedAfterwards)
    transport.rank, transport.size = 0, 2
    with interruptible():  # of the same kind as the one inside, which has begun to end
        with pytest.raises(SystemExit) as ended, _failing_together(transport):
            raise RankLost("rank 0 waited")
        time.sleep(0.3)
    assert ended.value.code == FAILED
    assert capsys.readouterr().err == "rank 0 waited\n"


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (RankLost("rank 0 waited"), FAILED),
        (BadInput("layers: 9"), BAD_INPUT),
        (NotWritten("no room"), 73),
        (NotRead("damaged"), 74),
    ],
)
def test_what_was_said_is_not_raised_again(
    failure: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    transport = object.__new__(_AbortReturns)
    transport.rank, transport.size = 0, 2
    with pytest.raises(SystemExit) as ended, ends_job(transport):
        raise failure
    assert ended.value.code == code
    assert capsys.readouterr().err.count(str(failure)) == 1
