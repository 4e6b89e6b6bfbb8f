"""A process that is really slowed down, as a hot device slows itself, is given less to do."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from mpiedge.__main__ import main
from mpiedge.config import to_toml
from tests.jobs import MPIEDGE, job, steps
from tests.models import save_tiny
from tests.runs import difference, finished, settings, write_requests

pytestmark = pytest.mark.mpi_skip

RUNS, STANDS = 0.01, 0.09  # seconds in turn: ten times slower


@contextmanager
def slowed(process: psutil.Process) -> Iterator[None]:
    """A process that stands still most of the time."""
    over = threading.Event()

    def hold() -> None:
        with suppress(psutil.NoSuchProcess):
            while not over.wait(RUNS):
                process.suspend()
                time.sleep(STANDS)
                process.resume()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def layers_of_rank_1(out: Path) -> int:
    """How many it holds now; 0 where that is not known yet."""
    status = json.loads((out / "status.json").read_text(encoding="utf-8"))
    return sum(len(each["layers"]) for each in status["devices"] if each["rank"] == 1)


def test_a_slowed_process_is_given_less_and_the_weights_stay(tmp_path: Path) -> None:
    given = settings(
        save_tiny("bert", tmp_path / "bert", blocks=6),
        write_requests(tmp_path / "requests"),
        strategy={"name": "pipeline"},
        training={"epochs": 20},
        checkpoint={"every": 4, "seconds": 0.0, "replan": True},
        comm={"timeout": 30.0},
    )
    (tmp_path / "run.toml").write_text(to_toml(given), encoding="utf-8")
    train = ("train", str(tmp_path / "run.toml"), "--output-dir")
    assert main([*train, str(tmp_path / "alone")]) == 0
    out = tmp_path / "out"
    with job((*MPIEDGE, "launch", "-n", "2", "--", *train, str(out))) as started:
        started.until(lambda: steps(out) > 10)
        started.processes()
        before = layers_of_rank_1(out)
        with slowed(started.rank(1)):
            started.until(lambda: 0 < layers_of_rank_1(out) < before)
        end = started.end(120.0)
    assert end.code == 0, end.err
    assert end.left == []
    assert "rank 1 on " in end.out
    assert "times slower than planned" in end.out
    assert "the work is laid out anew" in end.out
    alone, together = finished(tmp_path / "alone"), finished(out)
    assert len(together.losses) == len(alone.losses)
    assert difference(alone, together) < 1e-4
