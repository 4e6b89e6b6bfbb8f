"""A run's epochs as parts that can be predicted: what is ordered together, under which plan.

A run orders some batches of a phase together, never beyond an epoch or a phase; while a backbone
is replayed its layers cost what is left of them.
"""

from collections.abc import Sequence

from mpiedge.plan.cost import CostModel
from mpiedge.plan.prediction import Part
from mpiedge.strategy.strategy import Phase, Source


def epochs(
    phases: Sequence[Phase], cost: CostModel, epoch: int
) -> tuple[tuple[tuple[Part, int], ...], ...]:
    """For each epoch of ``epoch`` batches its parts, and how often each comes.

    A phase that ends at a plateau is taken to last as long as it may, and where it leaves out what
    it has trained before, those that follow get what is left.
    """
    counted: list[dict[Part, int]] = []
    done = 0
    for phase in phases:
        # A phase says where it ends, or how long it lasts; what was before it is done.
        stop = max(done, phase.until) if phase.until else done + phase.batches
        while done < stop:
            end = min(stop, done + phase.together, (done // epoch + 1) * epoch)
            while len(counted) <= done // epoch:
                counted.append({})
            part = part_of(phase, cost, range(done, end))
            counted[done // epoch][part] = counted[done // epoch].get(part, 0) + 1
            done = end
    return tuple(tuple(each.items()) for each in counted)


def part_of(phase: Phase, cost: CostModel, batches: range) -> Part:
    """Some of the run's batches, all of them in the phase."""
    # With entrances the model itself is replayed from one layer on, and costs what it does.
    replays = phase.source is Source.REPLAY and not phase.entrances
    return Part(
        plan=phase.plan.excerpt(batches),
        cost=cost.replaying() if replays else cost,
        batches=len(batches),
        policy=phase.policy,
    )
