"""A rank that becomes slow: it is said, and with a setting the work is laid out anew."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.config import RunSettings
from mpiedge.run.job import Job, train
from mpiedge.run.progress import Silent
from mpiedge.run.slowing import MOST, Pace
from tests.runs import Finished, difference, finished, run, settings

SLOW_FROM = 5  # updates
PIPELINE = {"name": "pipeline"}
LONG = {"epochs": 4}
OFTEN = {"every": 2, "seconds": 0.0}
COUNTED = Pace.computed
MORE: dict[str, dict[str, Any]] = {
    "pac": {"adapter": {"kind": "parallel", "reduction": 2}},
    "ring": {"strategy": {"name": "ring", "clients": 2, "interval": 12}},
    "split": {"strategy": {"name": "split", "clients": 2}},
}


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def trained(given: RunSettings, folder: Path, ranks: int = 2) -> tuple[Finished, list[str]]:
    heard = Heard()

    def body(transport: ThreadTransport) -> None:
        threading.current_thread().name = f"rank {transport.rank}"
        progress = Silent() if transport.rank else heard
        train(given, transport, Job(folder, folder), progress)
        transport.close()

    run_ranks(ranks, body, timeout=120)
    return finished(folder), [line for line in heard.lines if "slower" in line]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates take all ranks alike, but rank 1 a hundred times as long from some update on."""
    done = Counter[str]()

    def computed(self: Pace, _: float, updates: int) -> None:
        name = threading.current_thread().name
        done[name] += updates
        late = name == "rank 1" and done[name] > SLOW_FROM
        COUNTED(self, updates * (1.0 if late else 0.01), updates)

    monkeypatch.setattr(Pace, "computed", computed)


def layers_of_rank_1(one: Finished) -> int:
    return len(one.result["ranks"][1]["layers"])


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("strategy", ["pipeline", "data-parallel", "pac", "ring", "split"])
def test_the_work_is_laid_out_anew(
    strategy: str, bert: Path, requests: Path, tmp_path: Path
) -> None:
    sections: dict[str, Any] = {
        "strategy": {"name": strategy},
        "training": LONG,
        **MORE.get(strategy, {}),
    }
    calm = run(settings(bert, requests, **sections), 2, tmp_path / "calm")
    often = settings(bert, requests, **sections, checkpoint={**OFTEN, "replan": True})
    found, said = trained(often, tmp_path / "slow")
    assert "rank 1 on " in said[0]
    assert said[0].endswith("after update 6: the work is laid out anew")
    assert 1 <= len(said) <= MOST
    assert len(found.losses) == len(calm.losses)
    assert difference(calm, found) < 1e-4
    if strategy == "pipeline":
        assert layers_of_rank_1(found) < layers_of_rank_1(calm)


@pytest.mark.usefixtures("slow")
def test_else_it_is_said_once(bert: Path, requests: Path, tmp_path: Path) -> None:
    given = settings(bert, requests, training=LONG, checkpoint=OFTEN, strategy=PIPELINE)
    found, said = trained(given, tmp_path / "slow")
    assert len(said) == 1
    assert said[0].endswith("after update 6: checkpoint.replan = true plans anew")
    assert len(found.losses) == found.result["steps"]
