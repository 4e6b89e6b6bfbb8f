"""A ring on real ranks: the same as on one, and an end when the initiator is lost in its turn."""

from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from tests.jobs import MPIEDGE, job, run_after_run, under_mpirun
from tests.models import save_tiny
from tests.runs import difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip
CACHED = ("false", "true")  # whether the prefix is
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
        comm={"timeout": TIMEOUT},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


def training(cached: str, run_file: Path, folder: Path) -> list[str]:
    words = ["train", str(run_file), "--set", f"strategy.prefix_cache={cached}"]
    words += ["--set", "training.epochs=2", "--set", f"cache.folder={run_file.parent / 'cache'}"]
    return [*words, "--output-dir", str(folder)]


@pytest.fixture(scope="module")
def together(run_file: Path) -> Path:
    """What three ranks trained, in a folder for each way."""
    folder = run_file.parent / "together"
    end = run_after_run(3, *(training(cached, run_file, folder / cached) for cached in CACHED))
    assert end.code == 0, end.err
    return folder


@pytest.mark.parametrize("cached", CACHED)
def test_three_ranks_train_what_one_does(
    cached: str, run_file: Path, together: Path, tmp_path: Path
) -> None:
    assert main(training(cached, run_file, tmp_path / "alone")) == 0
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
