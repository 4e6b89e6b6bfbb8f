"""Real ranks, started as a user starts them: what they compute, and how they end."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from mpiedge.run.resuming import FOLDER
from mpiedge.store.checkpoint import parts_in
from tests.jobs import MPIEDGE, Job, ended, job, steps, under_mpirun
from tests.models import save_tiny
from tests.runs import Finished, difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip
FAILING = Path(__file__).with_name("failing_train.py")
SOON = 20.0  # seconds within which a job that lost a rank has to end
Start = Callable[..., tuple[str, ...]]
ENDLESS = ("--set", "training.epochs=100000")


def plainly(*words: str) -> tuple[str, ...]:
    return under_mpirun(3, *MPIEDGE, *words)


def launched(*words: str) -> tuple[str, ...]:
    return (*MPIEDGE, "launch", "-n", "3", "--", *words)


@pytest.fixture(scope="module")
def run_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run file of 12 updates that suits one rank and three."""
    folder = tmp_path_factory.mktemp("mpirun")
    model = save_tiny("bert", folder / "bert", blocks=3)
    given = settings(
        model,
        write_requests(folder / "requests"),
        strategy={"name": "pipeline"},
        training={"optimizer": "sgd", "learning_rate": 1.0, "epochs": 1},
        comm={"timeout": 10.0},
    )
    (folder / "run.toml").write_text(to_toml(given), encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def alone(run_file: Path) -> Finished:
    folder = run_file.parent / "alone"
    assert main(["train", str(run_file), "--output-dir", str(folder)]) == 0
    return finished(folder)


@pytest.mark.parametrize(
    ("start", "strategy"), [(plainly, "pipeline"), (launched, "data-parallel")]
)
def test_three_ranks_train_what_one_does(
    start: Start, strategy: str, run_file: Path, alone: Finished, tmp_path: Path
) -> None:
    words = ("train", str(run_file), "--output-dir", str(tmp_path / "out"))
    end = ended(start(*words, "--set", f"strategy.name={strategy}"))
    assert end.code == 0, end.err
    together = finished(tmp_path / "out")
    assert difference(alone, together) < 1e-6
    assert together.losses == pytest.approx(alone.losses, rel=1e-6)
    assert together.result["metrics"] == pytest.approx(alone.result["metrics"], rel=1e-6)
    ranks = together.result["ranks"]
    assert [rank["rank"] for rank in ranks] == [0, 1, 2]
    assert all(rank["bytes_sent"] > 0 and rank["busy_seconds"] > 0 for rank in ranks)
    assert "Traceback" not in end.err
    assert "saved in" in end.out


def test_an_exception_on_one_rank_ends_all_and_is_shown_once(
    run_file: Path, tmp_path: Path
) -> None:
    words = ("--debug", "train", str(run_file), "--output-dir", str(tmp_path / "out"))
    with job(under_mpirun(3, MPIEDGE[0], str(FAILING), *words)) as started:
        started.until((tmp_path / "out" / "run.toml").exists)
        end = started.end(SOON)
    assert end.code == 1
    assert end.left == []
    assert end.err.count("Traceback") == 1
    assert end.err.count("ZeroDivisionError: in micro-batch 2") == 1
    assert f"rank 1 of 3 on {os.uname().nodename}:\n" in end.err
    assert not (tmp_path / "out" / "result.json").exists()


@contextmanager
def training(start: Start, run_file: Path, folder: Path) -> Iterator[Job]:
    """A job in the middle of a long training."""
    words = ("train", str(run_file), "--output-dir", str(folder / "out"), *ENDLESS)
    with job(start(*words)) as started:
        started.until(lambda: steps(folder / "out") > 3)
        started.processes()
        yield started


@pytest.mark.parametrize("start", [plainly, launched])
def test_a_killed_rank_ends_the_job(start: Start, run_file: Path, tmp_path: Path) -> None:
    with training(start, run_file, tmp_path) as started:
        started.rank(1).kill()
        end = started.end(SOON)
    assert end.code not in (0, 2)
    assert end.left == []
    assert "Traceback" not in end.err


def test_a_launched_job_is_ended_by_ctrl_c(run_file: Path, tmp_path: Path) -> None:
    with training(launched, run_file, tmp_path) as started:
        started.send_signal(signal.SIGINT)
        end = started.end(SOON)
    assert end.code == 130
    assert end.left == []
    assert "Traceback" not in end.err
    assert end.err.count("stopped after update") == 1
    assert "Ctrl-C again ends at once" in end.err
    (update,) = {part.update for part in parts_in(tmp_path / "out" / FOLDER)}
    assert update >= 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_a_job_at_once(
    number: signal.Signals, run_file: Path, tmp_path: Path
) -> None:
    with training(launched, run_file, tmp_path) as started:
        started.rank(0).suspend()
        started.send_signal(number)
        time.sleep(0.5)
        started.send_signal(number)
        end = started.end(SOON)
    assert end.code == 128 + number
    assert end.left == []
    assert "Traceback" not in end.err


def test_a_rank_that_is_told_to_stop_stops_all(run_file: Path, tmp_path: Path) -> None:
    with training(launched, run_file, tmp_path) as started:
        started.rank(2).terminate()
        end = started.end(SOON)
    assert end.code == 143
    assert end.err.count("stopped after update") == 1
    assert parts_in(tmp_path / "out" / FOLDER)


def test_bad_input_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('[model]\nnmae = "x"\n', encoding="utf-8")
    end = ended(plainly("train", str(tmp_path / "run.toml")))
    assert end.code == 2
    said = [line for line in end.err.splitlines() if "nmae" in line]
    assert len(said) == 1
    assert said[0].startswith("mpiedge: ")
    assert said[0].endswith("model.nmae is not a setting; did you mean name?")
    assert end.err.count("mpiedge: ") == 1
    assert "Traceback" not in end.err
