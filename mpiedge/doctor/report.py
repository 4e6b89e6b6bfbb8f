"""All that the doctor found.

Apart from how it is measured, so that it can be shown where torch and MPI are missing.
"""

from dataclasses import dataclass
from typing import NamedTuple

from mpiedge.doctor.facts import Facts, Mpi, facts
from mpiedge.doctor.findings import Finding, findings


class Link(NamedTuple):
    """A pair of ranks and how fast they reach each other."""

    first: int
    second: int
    latency: float  # seconds for a few bytes, one way
    bandwidth: float  # bytes per second, one way


@dataclass(frozen=True)
class Report:
    """Facts, links and what is wrong."""

    ranks: tuple[Facts, ...]
    links: tuple[Link, ...]
    findings: tuple[Finding, ...]


def alone(rank: int, mpi: Mpi, *more: Finding) -> Report:
    """The report of one process that cannot speak to others."""
    own = facts(rank, mpi)
    return Report((own,), (), (*more, *findings([own])))
