"""When each rank computes what: a plan played out against a cost.

A schedule is a list of actions per rank.  It is not written by hand: it is what happens when
every rank, whenever it is free, takes an update if one is due, else the backward pass that is
ready, else the forward pass that is ready, and no stage holds more micro-batches than its
*window* allows.  A window of ``num_stages - stage`` gives 1F1B; no window, GPipe.  The same play
predicts how long the work takes.

Of all actions the one that starts first is taken next.  What a rank could do first is looked up
again only when something has happened to that rank, so that a play takes time in proportion to
its actions, whatever the number of ranks (``docs/planning.md`` has the curves).
"""

from collections.abc import Iterator
from math import inf

from mpiedge.plan.awaited import Awaited, Waiting
from mpiedge.plan.board import Board
from mpiedge.plan.cost import Cost, UnitCost
from mpiedge.plan.course import Course, courses
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.pending import Pending
from mpiedge.plan.places import GPIPE, ONE_F_ONE_B, Policy
from mpiedge.plan.queues import Order, Start
from mpiedge.plan.timeline import Action, Pass, Span, Timeline

__all__ = ["GPIPE", "ONE_F_ONE_B", "Policy", "makespan", "simulate"]


def simulate(
    plan: PartitionPlan, cost: Cost | None = None, policy: Policy = ONE_F_ONE_B, batches: int = 1
) -> Timeline:
    """Play ``batches`` batches of ``plan`` against ``cost`` (unit cost) and say what ran when.

    A stage that an update changes waits, before a batch's forward passes, for the update after the
    batch before, and where that was made elsewhere for the weights to come; a frozen stage has
    nothing to wait for, and runs ahead.
    """
    return Timeline(tuple(_Play(plan, cost or UnitCost(), policy, batches).run()))


def makespan(
    plan: PartitionPlan, cost: Cost, policy: Policy = ONE_F_ONE_B, limit: float = inf
) -> float:
    """Seconds of one batch in the same play; infinite for ``limit`` or more, not played to its end.

    For comparing many plans, of which few are worth their whole play.
    """
    end = 0.0
    for span in _Play(plan, cost, policy, batches=1).run():
        end = max(end, span.end)
        if end >= limit:
            return inf
    return end


_UPDATE = 0  # turn


class _Play:
    """The state of a play: what was done, and what can be done since."""

    def __init__(self, plan: PartitionPlan, cost: Cost, policy: Policy, batches: int) -> None:
        self._plan, self._cost = plan, cost
        self._stop = len(plan.micro_batches) * batches
        # A free rank takes updates first, then the passes as the policy likes them.
        self._back, self._on = (1, 2) if policy.backward_first else (2, 1)
        self._courses = courses(plan, cost, policy)
        self._awaited, self._pending = Awaited(plan, cost), Pending(plan)
        self._board = Board(leg.place for course in self._courses for leg in course.legs)

    def run(self) -> Iterator[Span]:
        """Take actions, earliest first, until nothing is ready."""
        for route in range(len(self._courses)):
            self._arrive(Waiting(0.0, 0, self._plan.assignment.index(route)))
        ways = {
            _UPDATE: (Pass.UPDATE, self._update),
            self._back: (Pass.BACKWARD, self._backward),
            self._on: (Pass.FORWARD, self._forward),
        }
        while (drawn := self._board.draw()) is not None:
            (start, (turn, above, number)), rank = drawn
            which, taken = ways[turn]
            end = taken(-above, number, start)
            self._board.busy(rank, end)
            yield Span(Action(-above, which, number), rank, start, end)

    def _forward(self, stage: int, number: int, start: float) -> float:
        """Pass a micro-batch on; when the stage is done with it."""
        course = self._course(number)
        leg, last = course.legs[stage], len(course.legs) - 1
        end = start + leg.forward
        if stage == 0:
            following = course.following[number % len(self._plan.assignment)]
            self._arrive(Waiting(0.0, 0, number + following))
        if stage < last:
            self._arrive(Waiting(end + leg.up, stage + 1, number))
        elif course.lowest is not None:
            order = Order(self._back, -stage, number)
            self._board.add(leg.place.slot.rank, Start(end, order))
        # A stage that runs no backward lets a micro-batch go when the next one has taken it.
        if 0 < stage <= course.bare:
            self._board.leave(course.legs[stage - 1].place.slot)
        if stage == last < course.bare:
            self._board.leave(leg.place.slot)
        return end

    def _backward(self, stage: int, number: int, start: float) -> float:
        """Pass a gradient back; when the stage is done with it."""
        course = self._course(number)
        slot, end = course.legs[stage].place.slot, start + course.legs[stage].backward
        self._board.leave(slot)
        if stage > course.bare:
            below = course.legs[stage - 1].place.slot
            order = Order(self._back, 1 - stage, number)
            self._board.add(below.rank, Start(end + course.legs[stage].down, order))
        batch = number // len(self._plan.micro_batches)
        for rank in self._pending.passed(slot.rank, batch):
            self._board.add(rank, Start(end, Order(_UPDATE, -rank, batch)))
        return end

    def _update(self, rank: int, batch: int, start: float) -> float:
        """Make an update; when it is made."""
        end = start + self._cost.update(rank)
        for waiting in self._awaited.made(rank, batch, end):
            self._arrive(waiting)
        return end

    def _arrive(self, waiting: Waiting) -> None:
        """Let a micro-batch wait at a stage, if it has the weights or will have them."""
        if waiting.number >= self._stop:
            return
        batch, cycle = waiting.number // len(self._plan.micro_batches), self._plan.cycle
        place = self._course(waiting.number).legs[waiting.stage].place
        there = self._awaited.weights(place.stage, batch, waiting)
        if there is not None:
            before = place.before[batch % cycle] + batch // cycle * place.before[-1]
            order = Order(self._on, -waiting.stage, waiting.number)
            self._board.arrive(place.slot, Start(max(waiting.ready, there), order), before)

    def _course(self, number: int) -> Course:
        return self._courses[self._plan.assignment[number % len(self._plan.assignment)]]
