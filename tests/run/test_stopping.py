"""A run that is asked to end writes a checkpoint, ends on all ranks alike, and can go on."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import alone
from mpiedge.errors import RankLost, Stopped
from mpiedge.run.checkpoints import Checkpoints, Facts
from mpiedge.run.phases import Entered
from mpiedge.run.resuming import FOLDER, Position
from mpiedge.run.status import NAME
from mpiedge.run.stopping import SIGNALS, Stopping
from mpiedge.store.checkpoint import parts_in
from tests.runs import difference, run, settings

RARELY = {"every": 5, "seconds": 1000.0}
SIDE = {"kind": "parallel", "reduction": 2}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Asks one rank to end at an update."""
    offer, when = Checkpoints.offer, {"rank": 0, "update": 0}

    def offered(
        self: Checkpoints, here: Entered, position: Position, facts: Facts, *apart: Any
    ) -> None:
        if here.update._transport.rank == when["rank"] and position.done == when["update"]:
            self.stopping.ask(signal.SIGTERM)
        offer(self, here, position, facts, *apart)

    monkeypatch.setattr(Checkpoints, "offer", offered)
    return when


@pytest.fixture
def files(bert: Path, requests: Path) -> tuple[Path, Path]:
    return bert, requests


@pytest.mark.parametrize(
    ("rank", "strategy", "adapter"),
    [
        (0, {"name": "pipeline"}, {}),
        (2, {"name": "pipeline"}, {}),
        (1, {"name": "pac"}, SIDE),
        (1, {"name": "deft", "clients": 3}, {}),
    ],
)
def test_all_end_with_a_checkpoint_and_go_on(
    rank: int,
    strategy: dict[str, Any],
    adapter: dict[str, Any],
    asked: dict[str, int],
    files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    cache = {"folder": str(tmp_path / "caches")}
    training = {"epochs": 9, "max_steps": 18}
    chosen = settings(
        *files,
        strategy=strategy,
        adapter=adapter,
        cache=cache,
        training=training,
        checkpoint=RARELY,
    )
    whole = run(chosen, 3, tmp_path / "whole")
    asked.update(rank=rank, update=6 if strategy["name"] != "deft" else 4)
    with pytest.raises(Stopped, match=r"stopped after update \d+ of \d+; go on: .*--resume") as end:
        run(chosen, 3, tmp_path / "parted")
    assert end.value.code == 143
    (update,) = {part.update for part in parts_in(tmp_path / "parted" / FOLDER)}
    assert asked["update"] <= update <= asked["update"] + 6
    status = json.loads((tmp_path / "parted" / NAME).read_text(encoding="utf-8"))
    assert (status["state"], status["checkpoint"]) == ("stopped", update)
    asked["update"] = 0
    if strategy["name"] == "pac":
        assert list((tmp_path / "caches").rglob("*.h5"))
    went_on = run(chosen, 3, tmp_path / "parted", resume=True)
    assert difference(whole, went_on) < 1e-4
    status = json.loads((tmp_path / "parted" / NAME).read_text(encoding="utf-8"))
    assert (status["state"], status["step"], status["ranks"]) == ("finished", status["steps"], 3)
    assert not list((tmp_path / "caches").rglob("*.h5"))


def test_without_checkpoints_a_signal_is_not_waited_with() -> None:
    stopping = Stopping(alone())
    with pytest.raises(KeyboardInterrupt), stopping.heard():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    assert stopping.asked() == 0


def test_the_first_is_noted_and_the_second_ends_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    stopping = Stopping(alone())
    stopping.heeds = True
    with pytest.raises(KeyboardInterrupt), stopping.heard():
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.asked() == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert capfd.readouterr().err.count("Ctrl-C again ends at once") == 1


def test_what_is_not_answered_in_time_ends_the_rank() -> None:
    stopping = Stopping(alone(), grace=0.1)
    stopping.heeds = True
    with pytest.raises(KeyboardInterrupt), stopping.heard():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(20)


def test_a_failure_after_the_wish_only_ends_the_rank() -> None:
    stopping = Stopping(alone())
    stopping.heeds = True
    with pytest.raises(KeyboardInterrupt), stopping.heard():
        os.kill(os.getpid(), signal.SIGINT)
        raise RankLost("rank 0 waited")
    with pytest.raises(RankLost), Stopping(alone()).heard():
        raise RankLost("rank 0 waited")


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stopping = Stopping(alone())
        stopping.heeds = True
        with stopping.heard():
            os.kill(os.getpid(), signal.SIGINT)
            assert stopping.asked() == 0
    finally:
        signal.signal(signal.SIGINT, before)
