"""A profile that is measured is one that can be planned by."""

from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.config import parsed
from mpiedge.errors import BadInput
from mpiedge.plan.cost import Link as Way
from mpiedge.run import profiling
from mpiedge.run.cluster_file import cluster_of
from mpiedge.run.foresight import foresee
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import open_run
from mpiedge.run.profiling import Link, devices, profile, write
from tests.runs import settings

SIZES = [(2, 4), (2, 8), (1, 8)]


def measured(bert: Path, requests: Path, folder: Path) -> dict[str, Any]:
    """The profile of two ranks, whose link is not timed but given."""
    found: list[dict[str, Any]] = []
    chosen = settings(bert, requests, cache={"folder": str(folder / "cache")})

    def body(transport: ThreadTransport) -> None:
        opened = open_run(chosen, transport)
        members = devices(opened, SIZES)
        if transport.rank == 0:
            found.append(profile(opened, members, [Link(0, 1, 2e-3, 1e7)], SIZES))
        transport.close()

    # A strategy that runs alone can be measured for on any number of ranks.
    run_ranks(2, body, timeout=60)
    return found[0]


def test_what_is_written_is_read_again(bert: Path, requests: Path, tmp_path: Path) -> None:
    values = measured(bert, requests, tmp_path)
    path = tmp_path / "new" / "cluster.toml"
    write(values, path)
    assert parsed(path) == values
    assert path.read_text(encoding="utf-8").startswith("# A cluster profile, measured by mpiedge")
    cluster = cluster_of(values, str(path))
    assert cluster.links[0][1] == Way(pytest.approx(1e7), pytest.approx(2e-3))
    assert [one.name for one in cluster.members] == ["rank 0", "rank 1"]
    assert all(one.host and one.memory > 0 for one in cluster.members)
    chosen = settings(bert, requests, strategy={"name": "pipeline", "cluster": str(path)})
    one = foresee(imagined(open_run(chosen, alone(5.0)), 0))
    assert len(one.seats) == 2
    assert one.forecast.seconds > 0


def test_a_profile_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="the profile cannot be written to"):
        write({}, tmp_path / "file" / "cluster.toml")


def test_numbers_are_short() -> None:
    assert profiling._rounded(0.000123456) == 0.0001235
