"""A ring on real ranks: the same as on one, and an end when the initiator is lost in its turn."""

from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from tests.jobs import MPIEDGE, job, trained, training, under_mpirun
from tests.models import save_tiny
from tests.runs import difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip
WAYS = {
    cached: (f"strategy.prefix_cache={cached}", "training.epochs=2") for cached in ("false", "true")
}
LOSING = Path(__file__).with_name("lost_initiator.py")
TIMEOUT = 5.0  # seconds, the run's comm.timeout
SOON = 60.0  # seconds: a job that starts, loses a rank, waits for it and ends


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ring")
    given = settings(
        save_tiny("bert", folder / "bert", blocks=3),
        write_requests(folder / "requests"),
        adapter={"kind": "bottleneck", "bottleneck": 8},
        strategy={"name": "ring", "clients": 3, "interval": 4},
        training={"epochs": 1},
        cache={"folder": str(folder / "cache")},
        comm={"timeout": TIMEOUT},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def together(run_file: Path) -> Path:
    return trained(3, run_file, WAYS)


@pytest.mark.parametrize("cached", WAYS)
def test_three_ranks_train_what_one_does(
    cached: str, run_file: Path, together: Path, tmp_path: Path
) -> None:
    assert main(training(run_file, tmp_path / "alone", WAYS[cached])) == 0
    three = finished(together / cached)
    assert difference(finished(tmp_path / "alone"), three) < 1e-6
    # Clients' turns: the head travelled from each of them.
    sent = [rank["sent"]["weights"]["messages"] for rank in three.result["ranks"]]
    assert min(sent) > 3


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_lost_initiator_ends_the_job(how: str, run_file: Path, tmp_path: Path) -> None:
    words = ("train", str(run_file), "--output-dir", str(tmp_path / "out"))
    with job(under_mpirun(3, MPIEDGE[0], str(LOSING), how, *words)) as started:
        end = started.end(SOON)
    assert end.code not in (0, 2)
    assert end.left == []
    assert "Traceback" not in end.err
    if how == "SIGSTOP":
        # Silent, so only those who wait for it can say so.
        said = [line for line in end.err.splitlines() if "rank 1" in line and "waited" in line]
        assert said
        assert f"comm.timeout ({TIMEOUT:g})" in said[0]
    assert not (tmp_path / "out" / "result.json").exists()
