"""PAC over real ranks: recorded, exchanged and replayed through MPI; what an end leaves behind."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from tests.jobs import MPIEDGE, Job, ended, job, steps
from tests.models import save_tiny
from tests.runs import Finished, difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip
SOON = 20.0  # seconds within which a job that lost a rank has to end
ENDLESS = ("--set", "training.epochs=100000")


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pac")
    given = settings(
        save_tiny("t5", folder / "t5"),
        write_requests(folder / "requests", rows=40),
        adapter={"kind": "parallel", "reduction": 2},
        strategy={"name": "pac", "groups": ["0,1", "2"]},
        training={"optimizer": "sgd", "learning_rate": 0.1, "epochs": 3},
        cache={"folder": str(folder / "caches")},
        comm={"timeout": 10.0},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def alone(run_file: Path) -> Finished:
    folder = run_file.parent / "alone"
    words = ("--set", "strategy.groups=[]", "--set", "strategy.name=standalone")
    assert main(["train", str(run_file), "--output-dir", str(folder), *words]) == 0
    return finished(folder)


def launched(run_file: Path, *words: str) -> tuple[str, ...]:
    return (*MPIEDGE, "launch", "-n", "3", "--", "train", str(run_file), *words)


def segments(run_file: Path) -> list[Path]:
    return sorted((run_file.parent / "caches").rglob("*.h5"))


def test_three_ranks_train_what_one_does(run_file: Path, alone: Finished, tmp_path: Path) -> None:
    end = ended(launched(run_file, "--output-dir", str(tmp_path / "out")))
    assert end.code == 0, end.err
    together = finished(tmp_path / "out")
    assert difference(alone, together) < 1e-5
    assert together.result["caching"]["bytes_moved"] > 0
    assert segments(run_file) == []
    assert "Traceback" not in end.err


@contextmanager
def replaying(run_file: Path, folder: Path, *more: str) -> Iterator[Job]:
    """A job that has long been training from what was recorded."""
    words = ("--output-dir", str(folder / "out"), *ENDLESS, *more)
    with job(launched(run_file, *words)) as started:
        started.until(lambda: steps(folder / "out") > 15)
        started.processes()
        yield started


@pytest.mark.parametrize("resumable", [True, False])
def test_ctrl_c_leaves_the_cache_to_who_resumes(
    resumable: bool, run_file: Path, tmp_path: Path
) -> None:
    never = ("--set", "checkpoint.every=0", "--set", "checkpoint.seconds=0")
    with replaying(run_file, tmp_path, *(() if resumable else never)) as started:
        assert segments(run_file)
        started.send_signal(signal.SIGINT)
        end = started.end(SOON)
    assert end.code == 130
    assert end.left == []
    assert "Traceback" not in end.err
    assert bool(segments(run_file)) is resumable
    assert ("stopped after update" in end.err) is resumable
    for segment in segments(run_file):
        segment.unlink()


def test_a_killed_ranks_store_serves_the_next_run(
    run_file: Path, alone: Finished, tmp_path: Path
) -> None:
    with replaying(run_file, tmp_path) as started:
        started.rank(1).kill()
        end = started.end(SOON)
    assert end.code not in (0, 2)
    assert end.left == []
    left = {segment.parent.name for segment in segments(run_file)}
    assert "rank-1" in left
    end = ended(launched(run_file, "--output-dir", str(tmp_path / "again")))
    assert end.code == 0, end.err
    again = finished(tmp_path / "again")
    assert difference(alone, again) < 1e-5
    done = json.loads((tmp_path / "again" / "result.json").read_text())["caching"]
    recorded = again.result["plan"][0]["batches"]
    assert recorded > 0 or done["recorded_apart"] < 40
    assert segments(run_file) == []
