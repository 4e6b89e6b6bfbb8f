"""Rounds on real ranks: the same as on one, and what happens when a device is late or lost."""

from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from tests.jobs import MPIEDGE, job, trained, training, under_mpirun
from tests.models import save_tiny
from tests.runs import difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip
WAYS = {name: (f"strategy.name={name}",) for name in ("deft", "fedlora")}
LATE = Path(__file__).with_name("late_device.py")
TIMEOUT = 6.0  # seconds, the run's comm.timeout
SOON = 60.0  # seconds: a job that starts, loses a rank, waits for it and ends


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deft")
    given = settings(
        save_tiny("bert", folder / "bert", blocks=3),
        write_requests(folder / "requests"),
        strategy={"name": "deft", "clients": 2, "replan": 0},
        training={"epochs": 2},
        comm={"timeout": TIMEOUT},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def together(run_file: Path) -> Path:
    return trained(3, run_file, WAYS)


@pytest.mark.parametrize("name", WAYS)
def test_three_ranks_train_what_one_does(
    name: str, run_file: Path, together: Path, tmp_path: Path
) -> None:
    assert main(training(run_file, tmp_path / "alone", WAYS[name])) == 0
    assert difference(finished(tmp_path / "alone"), finished(together / name)) < 1e-6


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_device_that_stood_still_comes_back(blocks: int, run_file: Path, tmp_path: Path) -> None:
    words = ["train", str(run_file), "--set", "strategy.round_deadline=1.0"]
    words += ["--set", f"strategy.blocks={blocks}", "--set", "strategy.speeds=[1.0, 1.0, 2.0]"]
    words += ["--output-dir", str(tmp_path / "out")]
    with job(under_mpirun(3, MPIEDGE[0], str(LATE), "SIGSTOP", "3", *words)) as started:
        end = started.end(SOON)
    assert end.code == 0, end.err
    # With one block the other device takes it; with two, rounds wait for the one that is late.
    run = finished(tmp_path / "out")
    assert run.result["rounds"]["block_of_client"] == ([0, 1] if blocks == 2 else [-1, 0])
    sent = [rank["sent"]["reply"]["messages"] for rank in run.result["ranks"][1:]]
    assert (sent[0] > 0, sent[1] > 3) == (True, True)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_lost_device_ends_the_job(how: str, run_file: Path, tmp_path: Path) -> None:
    words = ["train", str(run_file), "--output-dir", str(tmp_path / "out")]
    with job(under_mpirun(3, MPIEDGE[0], str(LATE), how, "0", *words)) as started:
        end = started.end(SOON)
    assert end.code not in (0, 2)
    assert end.left == []
    assert "Traceback" not in end.err
    if how == "SIGSTOP":
        said = [line for line in end.err.splitlines() if "for rank 2" in line]
        assert said
        assert f"comm.timeout ({TIMEOUT:g})" in said[0]
    assert not (tmp_path / "out" / "result.json").exists()
