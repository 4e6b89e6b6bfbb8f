"""A train that loses ranks is started again by its launcher, and ends as one that lost none."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from mpiedge.run.resuming import FOLDER
from mpiedge.store.checkpoint import parts_in
from tests.jobs import MPIEDGE, job, steps
from tests.models import save_tiny
from tests.runs import Finished, difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("restarts")
    given = settings(
        save_tiny("bert", folder / "bert", blocks=3),
        write_requests(folder / "requests"),
        strategy={"name": "pipeline"},
        training={"epochs": 15},
        checkpoint={"every": 6, "seconds": 0.0},
        comm={"timeout": 4.0},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def alone(run_file: Path) -> Finished:
    folder = run_file.parent / "alone"
    assert main(["train", str(run_file), "--output-dir", str(folder)]) == 0
    return finished(folder)


@pytest.mark.parametrize(
    ("disturb", "number"),
    [(psutil.Process.kill, 1), (psutil.Process.suspend, 1)],
)
def test_a_lost_rank_costs_no_more_than_the_updates_since_a_checkpoint(
    disturb: Callable[[psutil.Process], None],
    number: int,
    run_file: Path,
    alone: Finished,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    words = ("launch", "-n", "2", "--max-restarts", "2", "--", "train", str(run_file))
    with job((*MPIEDGE, *words, "--output-dir", str(out))) as started:
        started.until(lambda: len({p.update for p in parts_in(out / FOLDER)}) > 1)
        started.processes()
        disturb(started.rank(number))
        before = steps(out)
        end = started.end(120.0)
    assert end.code == 0, end.err
    assert end.left == []
    went_on = finished(out)
    assert difference(alone, went_on) < 1e-5
    assert len(went_on.losses) == 180
    said = [line for line in end.err.splitlines() if line.startswith("mpiedge: start ")]
    assert "start 1 of 2: " in said[-2]
    assert said[-1].endswith("finished")
    kept = int(said[-2].split("checkpoint after update ")[1].split(";")[0])
    assert kept > before - 20


def test_a_run_that_fails_at_every_start_is_given_up(run_file: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    words = ("launch", "-n", "2", "--max-restarts", "1", "--", "train", str(run_file))
    with job((*MPIEDGE, *words, "--output-dir", str(tmp_path / "runs" / "x"))) as started:
        end = started.end(60.0)
    assert end.code == 2
    assert end.err.count("cannot be written to") == 1
    assert end.left == []
