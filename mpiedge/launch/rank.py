"""Which rank this process is, known before MPI is and without it."""

from collections.abc import Mapping

RANKS = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID")


def rank_of(environment: Mapping[str, str]) -> int | None:
    """This process's rank as its launcher states it; none when it was started alone."""
    found = (environment[name] for name in RANKS if environment.get(name, "").isdecimal())
    return next((int(rank) for rank in found), None)
