"""How a job ends, whatever mpirun does."""

import signal
import sys
import time
from pathlib import Path

import pytest

from mpiedge.launch.supervise import LOST, Ending, exit_code
from tests.launch import fake

HANG = "time.sleep(60)\n"
DEAF = (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
)


def ready(folder: Path) -> str:
    return f"open({str(folder / 'ready')!r}, 'w').close()\n"


def starts_rank(folder: Path) -> str:
    """The rank lives in a process group of its own, as mpirun's ranks do."""
    return (
        f"rank = subprocess.Popen({list(fake.RANK)!r}, process_group=0)\n"
        if sys.version_info >= (3, 11)
        else f"rank = subprocess.Popen({list(fake.RANK)!r}, preexec_fn=os.setpgrp)\n"
    ) + f"open({str(folder / 'pid')!r}, 'w').write(str(rank.pid))\n"


def gone(pid: int) -> bool:
    return (
        not Path(f"/proc/{pid}").exists()
        or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    )


def rank_pid(folder: Path) -> int:
    return int((folder / "pid").read_text())


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending(0, 0, None), 0),
        (Ending(0, 137, None), 0),
        (Ending(3, 0, None), 3),
        (Ending(0, None, signal.SIGTERM), 0),
        (Ending(None, 1, signal.SIGINT), 130),
        (Ending(None, 0, signal.SIGTERM), 143),
        (Ending(None, 0, None), LOST),
        (Ending(None, None, None), LOST),
        (Ending(None, 137, None), 137),
        (Ending(None, -9, None), 137),
    ],
)
def test_whose_word_counts(ending: Ending, code: int) -> None:
    assert exit_code(ending) == code


@pytest.mark.parametrize("code", [0, 2, 70])
def test_the_reported_code_is_the_jobs(code: int) -> None:
    assert fake.run(fake.REPORT % code + "sys.exit(9)") == code


def test_an_end_without_a_result_is_a_lost_host(capfd: pytest.CaptureFixture[str]) -> None:
    assert fake.run("sys.exit(0)") == LOST
    assert "ended without a result: a host was lost" in capfd.readouterr().err


def test_an_error_without_a_result_is_mpiruns(capfd: pytest.CaptureFixture[str]) -> None:
    assert fake.run("sys.exit(137)") == 137
    assert "lost" not in capfd.readouterr().err


def test_a_result_ends_a_job_that_does_not_leave(tmp_path: Path) -> None:
    began = time.monotonic()
    script = starts_rank(tmp_path) + fake.REPORT % 5 + DEAF + HANG
    assert fake.run(script) == 5
    assert time.monotonic() - began < 10
    assert gone(rank_pid(tmp_path))


def test_ranks_that_outlive_mpirun_are_killed(tmp_path: Path) -> None:
    assert fake.run(starts_rank(tmp_path) + "os.kill(os.getpid(), 9)") == 137
    assert gone(rank_pid(tmp_path))


def test_mpirun_that_waits_for_nobody_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpiedge.launch.supervise.LOOK", 0.05)
    script = starts_rank(tmp_path) + "time.sleep(0.5)\nrank.kill()\nrank.wait()\n" + DEAF + HANG
    began = time.monotonic()
    assert fake.run(script) == LOST
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_the_ranks_and_not_mpirun(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    tell = f"open({str(tmp_path / 'told')!r}, 'w').write(str(-rank.wait()))\n"
    deaf = f"signal.signal({int(number)}, lambda *_: os._exit(9))\n"
    script = starts_rank(tmp_path) + deaf + "time.sleep(0.2)\n" + ready(tmp_path) + tell
    process = fake.launcher(script, tmp_path)
    assert fake.tell(process, number) == code
    told = (tmp_path / "told").read_text()
    # Python makes of SIGINT a KeyboardInterrupt, and ends by the signal again
    assert int(told) == number


def test_a_signal_reaches_mpirun_while_there_are_no_ranks(tmp_path: Path) -> None:
    process = fake.launcher(ready(tmp_path) + HANG, tmp_path)
    began = time.monotonic()
    assert fake.tell(process, signal.SIGTERM) == 143
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("times", [1, 2])
def test_whoever_does_not_listen_is_killed(tmp_path: Path, times: int) -> None:
    script = DEAF + starts_rank(tmp_path) + ready(tmp_path) + HANG
    process = fake.launcher(script, tmp_path)
    assert fake.tell(process, signal.SIGINT, times) == 130
    assert gone(rank_pid(tmp_path))


def test_banners_are_hidden_and_the_rest_passes(capfd: pytest.CaptureFixture[str]) -> None:
    rule = "-" * 74
    opening = "prterun detected that one or more processes exited with non-zero status"
    text = f"rank 1: bad\n{rule}\n{opening}\n{rule}\n"
    assert fake.run(f"sys.stderr.write({text!r})\nprint('out', flush=True)\nsys.exit(3)") == 3
    captured = capfd.readouterr()
    assert captured.err == "rank 1: bad\n"
    assert captured.out == "out\n"


def test_what_a_killed_mpirun_leaves_is_in_no_ones_way(tmp_path: Path) -> None:
    session = (
        "place = os.environ['PRTE_MCA_prte_local_tmpdir_base']\n"
        "os.mkdir(os.path.join(place, 'ompi.1'))\n"
        f"open({str(tmp_path / 'place')!r}, 'w').write(place)\n"
    )
    fake.run(session + "os.kill(os.getpid(), signal.SIGKILL)")
    assert not Path((tmp_path / "place").read_text()).exists()
