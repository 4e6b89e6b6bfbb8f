"""A split on real ranks: the same as on one, and what happens when a device leaves."""

from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from tests.jobs import MPIEDGE, job, trained, training, under_mpirun
from tests.models import save_tiny
from tests.runs import difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip
LOSING = Path(__file__).with_name("lost_device.py")
TIMEOUT = 5.0  # seconds, the run's comm.timeout
SOON = 60.0  # seconds: a job that starts, loses a rank, waits for it and ends
SPLITLORA = ("strategy.name=splitlora", "strategy.cuts=[1]", "strategy.average_every=4")
WAYS = {
    "point-to-point": ("strategy.aggregation=point-to-point",),
    "gather": ("strategy.aggregation=gather",),
    "in-turn": (*SPLITLORA, "strategy.visits=in-turn"),
    "parallel": (*SPLITLORA, "strategy.visits=parallel"),
}


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("split")
    given = settings(
        save_tiny("bert", folder / "bert", blocks=4),
        write_requests(folder / "requests"),
        task={"split": "label"},
        strategy={"name": "split", "clients": 2, "cuts": [1, 2]},
        cache={"folder": str(folder / "cache")},
        comm={"timeout": TIMEOUT},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def together(run_file: Path) -> Path:
    return trained(3, run_file, WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_three_ranks_train_what_one_does(
    way: str, run_file: Path, together: Path, tmp_path: Path
) -> None:
    assert main(training(run_file, tmp_path / "alone", WAYS[way])) == 0
    three = finished(together / way)
    assert difference(finished(tmp_path / "alone"), three) < 1e-5
    if way in ("point-to-point", "gather"):
        assert [rank["layers"][-1] for rank in three.result["ranks"]] == [5, 1, 2]


def test_a_run_goes_on_without_a_device_that_is_told_to_stop(
    run_file: Path, tmp_path: Path
) -> None:
    words = ["train", str(run_file), "--set", "strategy.on_loss=continue"]
    words += ["--output-dir", str(tmp_path / "out")]
    with job(under_mpirun(3, MPIEDGE[0], str(LOSING), "SIGTERM", *words)) as started:
        end = started.end(SOON)
    assert end.code == 0, end.err
    assert "rank 2 has left; going on without what it had to send" in end.out + end.err
    server, first, second = finished(tmp_path / "out").result["ranks"]
    assert second["sent"]["activation"]["messages"] == 4
    assert first["sent"]["activation"]["messages"] > 15
    assert server["cache_bytes"] > 0


@pytest.mark.parametrize(("how", "way"), [("SIGKILL", "point-to-point"), ("SIGSTOP", "gather")])
def test_a_lost_device_ends_the_job(how: str, way: str, run_file: Path, tmp_path: Path) -> None:
    words = ["train", str(run_file), "--set", f"strategy.aggregation={way}"]
    words += ["--output-dir", str(tmp_path / "out")]
    with job(under_mpirun(3, MPIEDGE[0], str(LOSING), how, *words)) as started:
        end = started.end(SOON)
    assert end.code not in (0, 2)
    assert end.left == []
    assert "Traceback" not in end.err
    if how == "SIGSTOP":
        said = [line for line in end.err.splitlines() if "for rank 2" in line]
        assert said, end.err
        assert f"comm.timeout ({TIMEOUT:g})" in said[0]
    assert not (tmp_path / "out" / "result.json").exists()
