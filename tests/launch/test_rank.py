"""Which rank a process is, from what its launcher states."""

import pytest

from mpiedge.launch.rank import rank_of


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_RANK": "0"}, 0),
        ({"PMI_RANK": "3"}, 3),
        ({"SLURM_PROCID": "2", "OMPI_COMM_WORLD_RANK": "5"}, 5),
        ({"OMPI_COMM_WORLD_RANK": ""}, None),
    ],
)
def test_rank(environment: dict[str, str], rank: int | None) -> None:
    assert rank_of(environment) == rank
