"""How long a schedule that is given takes, whatever it was played against.

``simulate`` orders actions and times them by the same cost.  A run is ordered before its costs are
known; here every rank keeps its order, and waits for messages, weights and the ranks it updates
together with, as the engine does.
"""

from collections import deque
from collections.abc import Mapping

from mpiedge.plan.awaited import Awaited, Waiting
from mpiedge.plan.cost import Cost
from mpiedge.plan.course import Course, courses
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.places import GPIPE
from mpiedge.plan.timeline import Action, Pass, Schedule, Span, Timeline


def execute(
    plan: PartitionPlan, schedule: Schedule, cost: Cost, summing: Mapping[int, float] | None = None
) -> Timeline:
    """The spans of a schedule against ``cost``; an update takes ``summing`` [rank] seconds more.

    Ranks that update together begin when the last of them comes to it.  Raises ValueError for a
    schedule that stalls.
    """
    spans = _Execution(plan, schedule, cost, summing or {}).run()
    stalled = sum(map(len, schedule.values())) - len(spans)
    if stalled:
        raise ValueError(f"the schedule stalls: {stalled} of its actions wait for one another")
    return Timeline(tuple(sorted(spans, key=lambda span: (span.start, span.rank))))


class _Execution:
    """How far every rank has come, and who waits for what."""

    def __init__(
        self, plan: PartitionPlan, schedule: Schedule, cost: Cost, summing: Mapping[int, float]
    ) -> None:
        self._plan, self._cost, self._summing = plan, cost, summing
        self._courses = courses(plan, cost, GPIPE)
        self._awaited = Awaited(plan, cost)
        self._left = {rank: deque(actions) for rank, actions in schedule.items()}
        self._free = dict.fromkeys(schedule, 0.0)
        self._came: dict[Action, float] = {}  # when what a pass needs was there
        self._spans: list[Span] = []
        self._stirred = deque(schedule)

    def run(self) -> list[Span]:
        """Let ranks go on until none can."""
        while self._stirred:
            rank = self._stirred.popleft()
            while self._left[rank] and self._advance(rank, self._left[rank][0]):
                pass
        return self._spans

    def _advance(self, rank: int, action: Action) -> bool:
        """Take a rank's next action if what it needs is there."""
        if action.which is Pass.UPDATE:
            return self._update(action.number, self._plan.batch(action.number).partners[rank])
        there = self._there(action)
        if there is None:
            return False
        course = self._course(action.number)
        leg = course.legs[action.stage]
        forward = action.which is Pass.FORWARD
        self._span(rank, max(there, self._free[rank]), leg.forward if forward else leg.backward)
        self._pass_on(course, action, self._free[rank] + (leg.up if forward else leg.down))
        return True

    def _there(self, action: Action) -> float | None:
        """When what a pass needs was there; None if it is not."""
        first = action.stage == 0 and action.which is Pass.FORWARD
        came = 0.0 if first else self._came.get(action)
        if came is None or action.which is Pass.BACKWARD:
            return came
        stage = self._course(action.number).legs[action.stage].place.stage
        batch = action.number // len(self._plan.micro_batches)
        weights = self._awaited.weights(stage, batch, Waiting(0.0, action.stage, action.number))
        return None if weights is None else max(came, weights)

    def _pass_on(self, course: Course, action: Action, arrival: float) -> None:
        """Tell the next stage, or the one before, that a pass's message is on its way."""
        last = len(course.legs) - 1
        if action.which is Pass.FORWARD and action.stage < last:
            following = action._replace(stage=action.stage + 1)
        elif action.which is Pass.FORWARD:
            following = action._replace(which=Pass.BACKWARD)
        else:
            following = action._replace(stage=action.stage - 1)
        if following.stage >= 0:
            self._came[following] = arrival
            self._stirred.append(course.legs[following.stage].place.slot.rank)

    def _update(self, batch: int, together: frozenset[int]) -> bool:
        """Update on ranks that do it together, once all of them have come to it."""
        nexts = [self._left[rank][0] if self._left[rank] else None for rank in together]
        if any(one is None or one.which is not Pass.UPDATE or one.number != batch for one in nexts):
            return False
        start = max(self._free[rank] for rank in together)
        for rank in together:
            self._span(rank, start, self._cost.update(rank) + self._summing.get(rank, 0.0))
            for waiting in self._awaited.made(rank, batch, self._free[rank]):
                leg = self._course(waiting.number).legs[waiting.stage]
                self._stirred.append(leg.place.slot.rank)
        self._stirred.extend(together)
        return True

    def _span(self, rank: int, start: float, seconds: float) -> None:
        """Take a rank's next action out of its row, and write down when it ran."""
        self._free[rank] = start + seconds
        self._spans.append(Span(self._left[rank].popleft(), rank, start, start + seconds))

    def _course(self, number: int) -> Course:
        return self._courses[self._plan.assignment[number % len(self._plan.assignment)]]
