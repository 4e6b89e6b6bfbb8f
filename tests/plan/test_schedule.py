"""The schedule that falls out of a play, against closed forms and by running it."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

import pytest

from mpiedge.plan.partition import PartitionPlan, Route, Stage
from mpiedge.plan.schedule import GPIPE, ONE_F_ONE_B, makespan, simulate
from mpiedge.plan.timeline import Action, Pass, draw
from tests.plan.plain_play import simulate_plainly


def _pipeline(stages: int, micro_batches: int, lowest: int = 0) -> PartitionPlan:
    route = tuple(
        Stage(rank, range(rank, rank + 1), frozenset({rank} if rank >= lowest else ()))
        for rank in range(stages)
    )
    return PartitionPlan((route,), (0,) * micro_batches)


def _one_f_one_b(stage: int, stages: int, micro_batches: int) -> list[str]:
    """Warm-up forwards, then one forward and one backward in turn, then the rest."""
    warm_up = min(micro_batches, stages - stage - 1)
    order = [f"{stage}F{m}" for m in range(warm_up)]
    for m in range(warm_up, micro_batches):
        order += [f"{stage}F{m}", f"{stage}B{m - warm_up}"]
    order += [f"{stage}B{m}" for m in range(micro_batches - warm_up, micro_batches)]
    return [*order, "U0"]


@pytest.mark.parametrize("stages", range(1, 7))
@pytest.mark.parametrize("micro_batches", [1, 2, 3, 5, 8, 12])
def test_one_f_one_b_follows(stages: int, micro_batches: int) -> None:
    timeline = simulate(_pipeline(stages, micro_batches))
    for rank, actions in timeline.schedule.items():
        assert [str(action) for action in actions] == _one_f_one_b(rank, stages, micro_batches)
    assert timeline.makespan == 2 * (micro_batches + stages - 1)


def test_gpipe_runs_all_forward_passes_first() -> None:
    timeline = simulate(_pipeline(3, 4), policy=GPIPE)
    passes = "".join(action.which.value for action in timeline.schedule[0])
    assert passes == "FFFFBBBBU"


def test_the_drawing_of_a_pipeline() -> None:
    #  rank 0 forwards two, then waits for the gradient of the first
    assert draw(simulate(_pipeline(2, 3))) == (
        "rank 0 |0F0 0F1     0B0 0F2 0B1     0B2 U0\nrank 1 |    1F0 1B0 1F1 1B1 1F2 1B2 U0"
    )


def test_nothing_runs_backward_below_the_lowest_trainable_stage() -> None:
    schedule = simulate(_pipeline(4, 6, lowest=2)).schedule
    for rank in (0, 1):
        assert {action.which for action in schedule[rank]} == {Pass.FORWARD}
    for rank in (2, 3):
        assert sum(action.which is Pass.BACKWARD for action in schedule[rank]) == 6


def test_frozen_stages_run_ahead_into_the_next_batches() -> None:
    ahead = simulate(_pipeline(4, 1, lowest=3), batches=6)
    flushed = simulate(_pipeline(4, 1, lowest=3), batches=1)
    assert ahead.makespan == 6 * 2 + 3
    assert ahead.makespan < 6 * flushed.makespan


def test_trained_stages_wait_for_their_update() -> None:
    for rank, actions in simulate(_pipeline(3, 2), batches=3).schedule.items():
        order = [str(action) for action in actions]
        for batch in (1, 2):
            assert order.index(f"U{batch - 1}") < order.index(f"{rank}F{2 * batch}")


def test_no_stage_holds_more_than_its_window() -> None:
    timeline = simulate(_pipeline(4, 9), batches=2)
    for rank, actions in timeline.schedule.items():
        held = most = 0
        for action in actions:
            held += {Pass.FORWARD: 1, Pass.BACKWARD: -1, Pass.UPDATE: 0}[action.which]
            most = max(most, held)
        assert most == 4 - rank


@dataclass(frozen=True)
class RandomCost:
    seed: int

    def _seconds(self, *key: object) -> float:
        return random.Random(f"{self.seed} {key}").choice([0.1, 0.5, 1.0, 3.0])

    def forward(self, stage: Stage) -> float:
        return self._seconds("forward", stage.rank, stage.layers)

    def backward(self, stage: Stage, lowest: bool) -> float:
        return self._seconds("backward", stage.rank, stage.layers, lowest)

    def send(self, source: Stage, dest: Stage) -> float:
        return self._seconds("send", source.rank, dest.rank)

    def update(self, rank: int) -> float:
        return self._seconds("update", rank)

    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        return self._seconds("travel", source, dest)


def random_plan(chance: random.Random) -> PartitionPlan:
    layers, ranks = chance.randint(2, 6), chance.randint(1, 4)
    trainable = frozenset(i for i in range(layers) if chance.random() < 0.6)
    routes = []
    for _ in range(chance.randint(1, 4)):
        cuts = sorted(chance.sample(range(1, layers), chance.randint(0, layers - 1)))
        bounds = [0, *cuts, layers]
        parts = [range(a, b) for a, b in zip(bounds, bounds[1:], strict=False)]
        routes.append(
            tuple(Stage(chance.randrange(ranks), p, trainable & frozenset(p)) for p in parts)
        )
    plenty = [*range(len(routes)), *(chance.randrange(len(routes)) for _ in range(4))]
    cycle = chance.choice([1, 1, 2, 3])
    plenty += [0] * (-len(plenty) % cycle)
    chance.shuffle(plenty)
    return PartitionPlan(tuple(routes), tuple(plenty), chance.random() < 0.3, cycle)


def _run_with_blocking_receives(plan: PartitionPlan, schedule: dict[int, list[Action]]) -> bool:
    """Whether every rank gets through its actions when each waits for what it needs."""
    done: set[tuple[int, Action]] = set()
    at: defaultdict[int, int] = defaultdict(int)

    def ran(action: Action) -> bool:
        return any(a == action for _, a in done)

    def possible(rank: int, action: Action) -> bool:
        if action.which is Pass.UPDATE:
            together = plan.batch(action.number).partners[rank]
            return all(schedule[r][at[r]] == Action(r, *action[1:]) for r in together)
        route = plan.route(action.number)
        if action.which is Pass.FORWARD:
            came = action.stage == 0 or ran(action._replace(stage=action.stage - 1))
            return came and all(ran(update) for update in awaited(rank, route, action))
        if action.stage == len(route) - 1:
            return ran(action._replace(which=Pass.FORWARD))
        return ran(action._replace(stage=action.stage + 1))

    def awaited(rank: int, route: Route, action: Action) -> list[Action]:
        """The updates elsewhere from which weights travel to a forward pass."""
        batch = action.number // len(plan.micro_batches)
        layers = set(route[action.stage].layers)
        return [
            Action(travel.source, Pass.UPDATE, batch - 1)
            for travel in (plan.travels(batch - 1) if batch else ())
            if travel.dest == rank and not layers.isdisjoint(travel.layers)
        ]

    def next_of(rank: int) -> Action | None:
        return schedule[rank][at[rank]] if at[rank] < len(schedule[rank]) else None

    for _ in range(sum(len(actions) for actions in schedule.values()) + 1):
        moves = [(r, a) for r in schedule if (a := next_of(r)) is not None and possible(r, a)]
        if not moves:
            break
        rank, action = moves[0]
        together = (
            plan.batch(action.number).partners[rank] if action.which is Pass.UPDATE else {rank}
        )
        for other in together:
            done.add((other, schedule[other][at[other]]))
            at[other] += 1
    return all(at[rank] == len(actions) for rank, actions in schedule.items())


@pytest.mark.parametrize("seed", range(150))
def testrandom_plans_never_stall_and_run_every_pass_once(seed: int) -> None:
    chance = random.Random(seed)
    plan, batches = random_plan(chance), chance.randint(1, 3)
    policy = chance.choice([ONE_F_ONE_B, GPIPE])
    schedule = simulate(plan, RandomCost(seed), policy, batches).schedule
    actions = [action for each in schedule.values() for action in each]
    assert len(actions) == len(set(actions))
    forward = sum(action.which is Pass.FORWARD for action in actions)
    numbers = range(batches * len(plan.micro_batches))
    assert forward == sum(len(plan.route(m)) for m in numbers)
    backward = sum(action.which is Pass.BACKWARD for action in actions)
    assert backward == sum(sum(plan.batch(k).backward_passes.values()) for k in range(batches))
    assert _run_with_blocking_receives(plan, {r: list(a) for r, a in schedule.items()})


@pytest.mark.parametrize("seed", range(40))
def test_the_same_spans_as_when_everything_is_looked_at_each_time(seed: int) -> None:
    for number in range(seed * 30, seed * 30 + 30):
        chance = random.Random(number)
        plan, batches = random_plan(chance), chance.randint(1, 6)
        policy = chance.choice([ONE_F_ONE_B, GPIPE])._replace(most=chance.choice([0, 0, 1, 2, 3]))
        cost = chance.choice([RandomCost(number), None])
        plainly = simulate_plainly(plan, cost, policy, batches)
        assert simulate(plan, cost, policy, batches).spans == plainly.spans


@pytest.mark.parametrize("seed", range(40))
def test_the_seconds_of_a_play_up_to_a_limit(seed: int) -> None:
    plan, cost = random_plan(random.Random(seed)), RandomCost(seed)
    seconds = simulate(plan, cost, GPIPE).makespan
    assert makespan(plan, cost, GPIPE) == seconds
    assert makespan(plan, cost, GPIPE, limit=seconds * 1.001) == seconds
    assert makespan(plan, cost, GPIPE, limit=seconds) == inf


def test_many_replicas_take_as_many_actions_as_they_have() -> None:
    ranks, batches = 300, 4
    routes = tuple((Stage(rank, range(3), frozenset({1})),) for rank in range(ranks))
    plan = PartitionPlan(routes, tuple(range(ranks)), joint_update=True)
    timeline = simulate(plan, batches=batches)
    assert len(timeline.spans) == 3 * ranks * batches
    assert timeline.makespan == 2 * batches
    assert timeline.busy(0) == timeline.busy(ranks - 1) == 2 * batches


def test_a_stage_that_trains_nothing_makes_later_batches_shorter() -> None:
    timeline = simulate(_pipeline(2, 2, lowest=1), batches=4)
    ends = [span.end for span in timeline.spans if span.action.which is Pass.UPDATE]
    assert timeline.lasting() == ends[-1] - ends[-2] < ends[0]
    assert timeline.lasting(2) == ends[-1] - ends[-3]
    trained = simulate(_pipeline(2, 2), batches=4)
    assert trained.lasting() == trained.makespan / 4
