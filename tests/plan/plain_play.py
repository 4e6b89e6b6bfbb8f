"""A play as it is said and not as it is fast: all that is ready is looked at before each action.

What ``simulate`` has to do, in other words; the time it takes grows with the square of a plan.
"""

from collections import Counter
from math import inf

from mpiedge.plan.cost import Cost, UnitCost
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.places import Policy, Slot, places, slot_of
from mpiedge.plan.timeline import Action, Pass, Span, Timeline


def simulate_plainly(
    plan: PartitionPlan, cost: Cost | None, policy: Policy, batches: int
) -> Timeline:
    return _Play(plan, cost or UnitCost(), policy, batches).run()


class _Play:
    """The state of a play: what is ready, who is free, what each stage holds."""

    def __init__(self, plan: PartitionPlan, cost: Cost, policy: Policy, batches: int) -> None:
        self._plan, self._cost, self._policy = plan, cost, policy
        self._size = len(plan.micro_batches)
        self._stop = self._size * batches
        self._ready: dict[Action, float] = {}
        self._free: dict[int, float] = dict.fromkeys(plan.ranks, 0.0)
        self._held: Counter[Slot] = Counter()
        self._taken: Counter[Slot] = Counter()  # forward passes begun
        self._updated: dict[tuple[int, int], float] = {}  # rank, batch -> end of the update
        self._pending = Counter(
            {(r, k): n for k in range(batches) for r, n in plan.batch(k).backward_passes.items()}
        )
        self._sources: dict[tuple[Stage, int], list[tuple[int, float]]] = {}
        self._assignment, self._places = plan.assignment, places(plan, policy)
        for route in range(len(plan.routes)):
            self._enter(plan.assignment.index(route))

    def run(self) -> Timeline:
        """Take actions, earliest first, until nothing is ready."""
        spans: list[Span] = []
        while self._ready:
            starts = {a: self._start(a) for a in self._ready if self._may_start(a)}
            action = min(starts, key=lambda a: (starts[a], *self._order(a)))
            spans.append(self._take(action, starts[action]))
        return Timeline(tuple(spans))

    def _enter(self, micro_batch: int) -> None:
        """Make a micro-batch ready at its route's first stage."""
        if micro_batch < self._stop:
            self._ready[Action(0, Pass.FORWARD, micro_batch)] = 0.0

    def _may_start(self, action: Action) -> bool:
        if action.which is not Pass.FORWARD:
            return True
        place = self._places[self._assignment[action.number % len(self._assignment)]][action.stage]
        if self._held[place.slot] >= place.window:
            return False
        batch, cycle = action.number // self._size, self._plan.cycle
        due = place.before[batch % cycle] + batch // cycle * place.before[-1]
        return self._taken[place.slot] >= due and self._weights(place.stage, batch) < inf

    def _start(self, action: Action) -> float:
        """When an action that may start does."""
        start = max(self._ready[action], self._free[self._rank(action)])
        if action.which is not Pass.FORWARD:
            return start
        return max(start, self._weights(self._stage(action), action.number // self._size))

    def _weights(self, stage: Stage, batch: int) -> float:
        """When a stage has the weights that a batch needs; infinite while that is unknown."""
        if batch == 0:
            return 0.0
        needed = (stage, batch)
        if needed not in self._sources:
            self._sources[needed] = self._awaited(stage, batch - 1)
        there = 0.0
        for source, seconds in self._sources[needed]:
            there = max(there, self._updated.get((source, batch - 1), inf) + seconds)
        return there

    def _awaited(self, stage: Stage, batch: int) -> list[tuple[int, float]]:
        """The ranks whose update after a batch a stage waits for, and how long it is on its way."""
        trainers = self._plan.batch(batch).trainers
        sources: dict[int, list[int]] = {}
        for layer in stage.layers:
            if layer in trainers:
                ranks = trainers[layer]
                source = stage.rank if stage.rank in ranks else ranks[0]
                sources.setdefault(source, []).append(layer)
        return [
            (source, self._cost.travel(source, stage.rank, layers) if source != stage.rank else 0.0)
            for source, layers in sources.items()
        ]

    def _order(self, action: Action) -> tuple[int, int, int]:
        """Updates, then the policy's pass, upper stages, lower numbers."""
        first = Pass.BACKWARD if self._policy.backward_first else Pass.FORWARD
        turns = {Pass.UPDATE: 0, first: 1}
        return turns.get(action.which, 2), -action.stage, action.number

    def _take(self, action: Action, start: float) -> Span:
        rank = self._rank(action)
        del self._ready[action]
        end = start + self._seconds(action)
        self._free[rank] = end
        if action.which is Pass.UPDATE:
            self._updated[rank, action.number] = end
        elif action.which is Pass.FORWARD:
            self._after_forward(action, end)
        else:
            self._after_backward(action, end)
        return Span(action, rank, start, end)

    def _after_forward(self, action: Action, end: float) -> None:
        route = self._plan.route(action.number)
        lowest, last = self._plan.lowest_trainable(action.number), len(route) - 1
        slot = slot_of(route, action.stage)
        self._held[slot] += 1
        self._taken[slot] += 1
        if action.stage == 0:
            self._enter(self._next_on_route(action.number))
        if action.stage < last:
            sent = self._cost.send(route[action.stage], route[action.stage + 1])
            self._ready[action._replace(stage=action.stage + 1)] = end + sent
        elif lowest is not None:
            self._ready[action._replace(which=Pass.BACKWARD)] = end
        # A stage that runs no backward lets a micro-batch go when the next one has taken it.
        bare = last + 1 if lowest is None else lowest
        if 0 < action.stage <= bare:
            self._held[slot_of(route, action.stage - 1)] -= 1
        if action.stage == last < bare:
            self._held[slot] -= 1

    def _after_backward(self, action: Action, end: float) -> None:
        route = self._plan.route(action.number)
        lowest = self._plan.lowest_trainable(action.number)
        self._held[slot_of(route, action.stage)] -= 1
        if lowest is not None and action.stage > lowest:
            sent = self._cost.send(route[action.stage], route[action.stage - 1])
            self._ready[action._replace(stage=action.stage - 1)] = end + sent
        rank, batch = route[action.stage].rank, action.number // self._size
        self._pending[rank, batch] -= 1
        if not self._pending[rank, batch]:
            self._release_updates(rank, batch, end)

    def _release_updates(self, rank: int, batch: int, end: float) -> None:
        """Make the update ready on all partners, once the last of them has its gradients."""
        partners = self._plan.batch(batch).partners.get(rank, frozenset())
        if not any(self._pending[other, batch] for other in partners):
            for other in sorted(partners):
                self._ready[Action(other, Pass.UPDATE, batch)] = end

    def _next_on_route(self, micro_batch: int) -> int:
        assignment = self._plan.assignment
        size = len(assignment)
        route = assignment[micro_batch % size]
        following = range(micro_batch + 1, micro_batch + size + 1)
        return next(m for m in following if assignment[m % size] == route)

    def _seconds(self, action: Action) -> float:
        if action.which is Pass.UPDATE:
            return self._cost.update(action.stage)
        stage = self._stage(action)
        if action.which is Pass.FORWARD:
            return self._cost.forward(stage)
        lowest = self._plan.lowest_trainable(action.number)
        return self._cost.backward(stage, lowest=action.stage == lowest)

    def _rank(self, action: Action) -> int:
        return action.stage if action.which is Pass.UPDATE else self._stage(action).rank

    def _stage(self, action: Action) -> Stage:
        return self._plan.route(action.number)[action.stage]
