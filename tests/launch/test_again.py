"""When a job is started again, with whom, and what is said of it."""

from collections.abc import Sequence

import pytest

from mpiedge.launch.again import (
    Attempt,
    Limits,
    Reached,
    Surroundings,
    keep_going,
    resumed,
    without,
)
from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host
from mpiedge.launch.supervise import Outcome

HOSTS = (Host("a", 1), Host("b", 2), Host("c", 1))
HERE = Job(program=("python", "-m", "mpiedge", "train", "x.toml"), ranks=3)
SPREAD = Job(program=HERE.program, ranks=4, hosts=HOSTS, subnets="10.0.0.0/24")
LATEST, AUTO = ("--resume", "latest"), ("--resume", "auto")


class World:
    """Jobs that end as they are told, and hosts that answer so many questions late."""

    def __init__(self, *outcomes: Outcome, absent: dict[str, float] | None = None) -> None:
        self.outcomes, self.absent = list(outcomes), dict(absent or {})
        self.jobs: list[Job] = []
        self.lines: list[str] = []
        self.reached = Reached(30, 24)

    def run(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.outcomes[len(self.jobs) - 1]

    def answering(self, hosts: Sequence[Host]) -> frozenset[str]:
        there = {host.name for host in hosts if self.absent.get(host.name, 0) <= 0}
        self.absent = {name: left - 1 for name, left in self.absent.items()}
        return frozenset(there)

    def kept(self, job: Job, restarts: int = 3, rejoin: float = 0.0) -> int:
        around = Surroundings(self.run, lambda: self.reached, self.answering, self.lines.append)
        return keep_going(job, Limits(restarts, rejoin), around)


def test_a_job_that_finishes_is_run_once_and_nothing_is_said() -> None:
    world = World(Outcome(0))
    assert world.kept(HERE) == 0
    assert world.jobs == [HERE]
    assert world.lines == []


def test_a_lost_rank_on_this_machine_is_started_again_from_the_checkpoint() -> None:
    world = World(Outcome(137), Outcome(75), Outcome(0))
    assert world.kept(HERE) == 0
    assert [job.ranks for job in world.jobs] == [3, 3, 3]
    assert [job.program[5:] for job in world.jobs] == [(), AUTO, AUTO]
    assert world.lines[0].endswith(
        "3 ranks, 0 s: ended with exit code 137 at step 30, checkpoint after update 24"
    )
    assert world.lines[-1].startswith("start 3 of 3: ")
    assert world.lines[-1].endswith("finished")


def test_without_a_checkpoint_it_begins_anew() -> None:
    world = World(Outcome(137), Outcome(0))
    world.reached = Reached()
    assert world.kept(HERE) == 0
    assert world.jobs == [HERE, HERE]
    assert "at step 0, no checkpoint" in world.lines[0]


def test_lost_hosts_are_left_out_with_their_slots() -> None:
    world = World(Outcome(70), Outcome(1), Outcome(0), absent={"b": 9})
    assert world.kept(SPREAD) == 0
    assert world.jobs[1].hosts == (HOSTS[0], HOSTS[2])
    assert [job.ranks for job in world.jobs] == [4, 2, 2]
    assert world.lines[0].endswith("; lost: b")
    assert "lost" not in world.lines[2]


def test_the_last_host_goes_on_alone() -> None:
    world = World(Outcome(70), Outcome(0), absent={"b": 9, "c": 9})
    assert world.kept(SPREAD) == 0
    assert (world.jobs[1].hosts, world.jobs[1].ranks) == ((), 1)


def test_a_host_that_comes_back_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpiedge.launch.again._LOOK", 0.01)
    world = World(Outcome(70), Outcome(0), absent={"c": 2})
    assert world.kept(SPREAD, rejoin=30.0) == 0
    assert world.jobs[1].hosts == HOSTS
    assert [line for line in world.lines if "more for c" in line]


def test_a_host_that_does_not_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpiedge.launch.again._LOOK", 0.01)
    world = World(Outcome(70), Outcome(0), absent={"c": 1e9})
    assert world.kept(SPREAD, rejoin=0.1) == 0
    assert world.jobs[1].ranks == 3


@pytest.mark.parametrize(
    "last", [Outcome(2), Outcome(73), Outcome(143, told=True), Outcome(0, told=True)]
)
def test_what_a_start_would_not_change_is_not_started_again(last: Outcome) -> None:
    world = World(Outcome(137), last)
    assert world.kept(HERE) == last.code
    assert len(world.jobs) == 2


def test_a_rank_that_was_told_to_stop_by_others_than_us_is_replaced() -> None:
    world = World(Outcome(143), Outcome(0))
    assert world.kept(HERE) == 0


def test_restarts_come_to_an_end() -> None:
    world = World(*[Outcome(137)] * 9)
    assert world.kept(HERE, restarts=2) == 137
    assert len(world.jobs) == 3
    assert [line for line in world.lines if line.startswith("start 3 of 3: ")]


def test_a_job_that_resumes_already_is_not_told_again() -> None:
    for words in (("--resume", "runs/x"), ("--resume=runs/x",)):
        job = Job(program=(*HERE.program, *words), ranks=1)
        assert resumed(job, Reached(30, 24)) == job
    assert resumed(HERE, Reached(30, 0)).program[5:] == AUTO
    assert resumed(HERE, Reached(30, 0), whole=False).program[5:] == LATEST


def test_all_hosts_there_changes_nothing() -> None:
    assert without(SPREAD, HOSTS) is SPREAD
    assert without(HERE, ()) is HERE


def test_one_rank_is_not_several() -> None:
    assert " 1 rank," in str(Attempt(0.0, 5.0, 1, Outcome(0), Reached()))
