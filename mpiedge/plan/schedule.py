"""When each rank computes what: a plan played out against a cost.

A schedule is a list of actions per rank.  It is not written by hand: it is what happens when
every rank, whenever it is free, takes an update if one is due, else the backward pass that is
ready, else the forward pass that is ready, and no stage holds more micro-batches than its
*window* allows.  A window of ``num_stages - stage`` gives 1F1B; no window, GPipe.  The same play
predicts how long the work takes.
"""

from collections import Counter
from math import inf
from typing import NamedTuple

from mpiedge.plan.cost import Cost, UnitCost
from mpiedge.plan.partition import PartitionPlan, Route, Stage
from mpiedge.plan.timeline import Action, Pass, Span, Timeline


class Policy(NamedTuple):
    """Which pass a free rank takes first, and whether a stage's window is bounded."""

    backward_first: bool
    bounded: bool

    def window(self, stage: int, num_stages: int) -> float:
        """How many micro-batches the stage may hold."""
        return num_stages - stage if self.bounded else inf


ONE_F_ONE_B = Policy(backward_first=True, bounded=True)
GPIPE = Policy(backward_first=False, bounded=False)


def simulate(
    plan: PartitionPlan, cost: Cost | None = None, policy: Policy = ONE_F_ONE_B, batches: int = 1
) -> Timeline:
    """Play ``batches`` batches of ``plan`` against ``cost`` (unit cost) and say what ran when.

    A stage that an update changes waits, before a batch's forward passes, for its rank's update
    after the batch before; a frozen stage has nothing to wait for, and runs ahead.
    """
    return _Play(plan, cost or _UNIT, policy, batches).run()


_UNIT = UnitCost()


class _Slot(NamedTuple):
    """A stage's place in routes of one length on one rank: what a window is counted for."""

    rank: int
    stage: int
    num_stages: int


class _Play:
    """The state of a play: what is ready, who is free, what each stage holds."""

    def __init__(self, plan: PartitionPlan, cost: Cost, policy: Policy, batches: int) -> None:
        self._plan, self._cost, self._policy = plan, cost, policy
        self._size = len(plan.micro_batches)
        self._stop = self._size * batches
        self._ready: dict[Action, float] = {}
        self._free: dict[int, float] = dict.fromkeys(plan.ranks, 0.0)
        self._held: Counter[_Slot] = Counter()
        self._taken: Counter[_Slot] = Counter()  # forward passes begun
        self._updates: Counter[int] = Counter()  # rank -> updates done
        self._pending = Counter(
            {(r, k): n for r, n in plan.backward_passes.items() for k in range(batches)}
        )
        self._share = Counter(
            _slot(plan.route(m), index)
            for m in plan.micro_batches
            for index in range(len(plan.route(m)))
        )
        for route in range(len(plan.routes)):
            self._enter(plan.assignment.index(route))

    def run(self) -> Timeline:
        """Take actions, earliest first, until nothing is ready."""
        spans: list[Span] = []
        while self._ready:
            action = min(filter(self._may_start, self._ready), key=self._order)
            spans.append(self._take(action))
        return Timeline(tuple(spans))

    def _enter(self, micro_batch: int) -> None:
        """Make a micro-batch ready at its route's first stage."""
        if micro_batch < self._stop:
            self._ready[Action(0, Pass.FORWARD, micro_batch)] = 0.0

    def _may_start(self, action: Action) -> bool:
        if action.which is not Pass.FORWARD:
            return True
        route, batch = self._plan.route(action.number), action.number // self._size
        stage, slot = route[action.stage], _slot(route, action.stage)
        if self._plan.updates(stage) and self._updates[stage.rank] < batch:
            return False
        in_order = self._taken[slot] >= self._share[slot] * batch
        return in_order and self._held[slot] < self._policy.window(action.stage, len(route))

    def _order(self, action: Action) -> tuple[float, int, int, int]:
        """Earliest start first; then updates, the policy's pass, upper stages, lower numbers."""
        first = Pass.BACKWARD if self._policy.backward_first else Pass.FORWARD
        turns = {Pass.UPDATE: 0, first: 1}
        start = max(self._ready[action], self._free[self._rank(action)])
        return start, turns.get(action.which, 2), -action.stage, action.number

    def _take(self, action: Action) -> Span:
        rank = self._rank(action)
        start = max(self._ready.pop(action), self._free[rank])
        end = start + self._seconds(action)
        self._free[rank] = end
        if action.which is Pass.UPDATE:
            self._updates[rank] += 1
        elif action.which is Pass.FORWARD:
            self._after_forward(action, end)
        else:
            self._after_backward(action, end)
        return Span(action, rank, start, end)

    def _after_forward(self, action: Action, end: float) -> None:
        route = self._plan.route(action.number)
        lowest, last = self._plan.lowest_trainable(action.number), len(route) - 1
        slot = _slot(route, action.stage)
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
            self._held[_slot(route, action.stage - 1)] -= 1
        if action.stage == last < bare:
            self._held[slot] -= 1

    def _after_backward(self, action: Action, end: float) -> None:
        route = self._plan.route(action.number)
        lowest = self._plan.lowest_trainable(action.number)
        self._held[_slot(route, action.stage)] -= 1
        if lowest is not None and action.stage > lowest:
            sent = self._cost.send(route[action.stage], route[action.stage - 1])
            self._ready[action._replace(stage=action.stage - 1)] = end + sent
        rank, batch = route[action.stage].rank, action.number // self._size
        self._pending[rank, batch] -= 1
        if not self._pending[rank, batch]:
            self._release_updates(rank, batch, end)

    def _release_updates(self, rank: int, batch: int, end: float) -> None:
        """Make the update ready on all partners, once the last of them has its gradients."""
        partners = self._plan.partners.get(rank, frozenset())
        if not any(self._pending[other, batch] for other in partners):
            for other in sorted(partners):
                self._ready[Action(other, Pass.UPDATE, batch)] = end

    def _next_on_route(self, micro_batch: int) -> int:
        assignment = self._plan.assignment
        route = assignment[micro_batch % self._size]
        following = range(micro_batch + 1, micro_batch + self._size + 1)
        return next(m for m in following if assignment[m % self._size] == route)

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


def _slot(route: Route, stage: int) -> _Slot:
    return _Slot(route[stage].rank, stage, len(route))
