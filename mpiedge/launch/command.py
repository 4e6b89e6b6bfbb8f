"""The mpirun command of a job, as data.

Pure, so that every flag can be tested without starting anything.  The flags are for Open MPI 5;
each is there because a run without it was slow, refused or hung.
"""

from dataclasses import dataclass
from pathlib import Path

from mpiedge.launch.hostfile import Host


@dataclass(frozen=True)
class Job:
    """What to run, how often and where."""

    program: tuple[str, ...]  # what each rank runs, by its absolute path
    ranks: int
    hosts: tuple[Host, ...] = ()  # none: this machine alone
    subnets: str = ""  # the networks that lead to the other hosts
    variables: tuple[str, ...] = ()  # NAME=VALUE, or NAME to pass on this machine's value
    mca: tuple[tuple[str, str], ...] = ()
    root: bool = False


def words(mpirun: Path, job: Job) -> tuple[str, ...]:
    """The command line that starts a job."""
    return (
        str(mpirun),
        *(("--allow-run-as-root",) if job.root else ()),
        *(_spread(job) if job.hosts else ("--map-by", ":OVERSUBSCRIBE")),
        # more ranks than cores cannot each have a core of their own
        *("--bind-to", "none"),
        # a rank that waits gives its core away: without it, waits on a busy machine take 1000
        # times as long
        *("--mca", "mpi_yield_when_idle", "1"),
        *(word for pair in job.mca for word in ("--mca", *pair)),
        *(word for variable in job.variables for word in ("-x", variable)),
        *("-n", str(job.ranks)),
        *job.program,
    )


_LIMITS = ("eager_limit", "rndv_eager_limit", "max_send_size")
_EAGER = 128 * 1024
"""Bytes that MPI sends over TCP without asking the other end first: a chunk of a sum fits."""


def _spread(job: Job) -> tuple[str, ...]:
    hosts = ",".join(f"{host.name}:{host.slots}" for host in job.hosts)
    return (
        *("--host", hosts, "--map-by", "slot"),
        *("--mca", "pml", "ob1", "--mca", "btl", "self,sm,tcp"),
        *(word for limit in _LIMITS for word in ("--mca", f"btl_tcp_{limit}", str(_EAGER))),
        *("--mca", "btl_tcp_if_include", job.subnets),
        *("--prtemca", "oob_tcp_if_include", job.subnets),
    )
