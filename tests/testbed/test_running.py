"""Jobs on a testbed, as far as nothing has to be started."""

import sys
import time
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.launch.command import Job
from mpiedge.testbed import running
from mpiedge.testbed.faults import Fault, Kind, happen
from mpiedge.testbed.standing import Standing, claim
from tests.testbed.files import BOX, standing

COMMANDS = ("train", "doctor")


def planned(place: Standing, *words: str, ranks: int | None = None) -> Job:
    return running.job_of(place, words, {}, commands=COMMANDS, ranks=ranks)


def test_a_command_of_mpiedge_has_a_rank_on_every_device(tmp_path: Path) -> None:
    job = planned(standing(tmp_path), "train", "x.toml")
    assert job.program == (sys.executable, "-m", "mpiedge", "train", "x.toml")
    assert [tuple(host) for host in job.hosts] == [("box-0", 1), ("far", 1)]
    assert (job.ranks, job.subnets, job.root) == (2, "10.77.0.0/24", True)


def test_fewer_ranks_take_the_first_devices(tmp_path: Path) -> None:
    job = planned(standing(tmp_path), "doctor", ranks=1)
    assert [host.name for host in job.hosts] == ["box-0"]
    assert job.ranks == 1


def test_any_program_can_be_run(tmp_path: Path) -> None:
    own = (sys.executable, "-m", "mpiedge.testbed.program")
    assert planned(standing(tmp_path), "python", "x.py").program == (*own, sys.executable, "x.py")
    assert planned(standing(tmp_path), "/bin/sh", "-c", "x").program == (*own, "/bin/sh", "-c", "x")


@pytest.mark.parametrize(
    ("words", "ranks", "complaint"),
    [
        ((), None, "run what"),
        (("trian",), None, r"'trian' is neither a command of mpiedge \(train, doctor\) nor"),
        (("train",), 3, "-n 3 is not a number of ranks from 1 to the 2 devices"),
        (("train",), 0, "-n 0 is not"),
    ],
)
def test_what_cannot_be_run(
    tmp_path: Path, words: tuple[str, ...], ranks: int | None, complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint):
        planned(standing(tmp_path), *words, ranks=ranks)


def test_mpirun_is_started_on_the_first_device(tmp_path: Path) -> None:
    place = standing(tmp_path)
    words = running.line(place, planned(place, "doctor"))
    assert words[0] == place.enter(BOX)
    assert words[1].endswith("/mpirun")
    assert words[words.index("--host") + 1] == "box-0:1,far:1"


def test_a_device_whose_memory_was_full_is_named(tmp_path: Path) -> None:
    place = standing(tmp_path)
    for device, count in zip(place.devices, (1, 4), strict=True):
        at = place.group_of(device).memory
        at.mkdir(parents=True)
        (at / "memory.oom_control").write_text(f"oom_kill {count}\n")
    assert running.full(place, {"box-0": 1, "far": 4}) == []
    assert running.full(place, {"box-0": 0, "far": 2}) == [
        "box-0 ran out of memory: the kernel killed a process there at its limit of 256 MiB",
        "far ran out of memory: the kernel killed 2 processes there at its limit of 128 MiB",
    ]


def test_faults_are_said_while_the_job_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = standing(tmp_path)
    claim(place)
    monkeypatch.setattr("mpiedge.testbed.shell.run", lambda _: None)
    happen(place, BOX, Fault(Kind.CUT))  # before the run: not its affair
    capsys.readouterr()
    with running._faults_said(place.events):
        time.sleep(2 * running.LOOK)
        happen(place, place.devices[1], Fault(Kind.CUT))
    told = [line for line in capsys.readouterr().err.splitlines() if "into the run" in line]
    assert len(told) == 1
    assert "fault on far: cut" in told[0]
