"""Which updates are still to come: those whose gradients are not all there yet."""

from collections import Counter
from typing import NamedTuple

from mpiedge.plan.partition import PartitionPlan


class _Left(NamedTuple):
    """What a batch still has before it."""

    passes: Counter[int]  # backward passes, by rank
    ranks: dict[frozenset[int], int]  # ranks with such passes, by those that update together


class Pending:
    """Counts the backward passes of every batch down to its updates."""

    def __init__(self, plan: PartitionPlan) -> None:
        self._plan = plan
        self._left: dict[int, _Left] = {}

    def passed(self, rank: int, batch: int) -> frozenset[int]:
        """Note a backward pass; the ranks whose update of the batch it was the last one for."""
        left = self._left.get(batch) or self._begun(batch)
        left.passes[rank] -= 1
        together = self._plan.batch(batch).partners.get(rank)
        if left.passes[rank] or together is None:
            return frozenset()
        left.ranks[together] -= 1
        return frozenset() if left.ranks[together] else together

    def _begun(self, batch: int) -> _Left:
        plan = self._plan.batch(batch)
        passes = plan.backward_passes
        together = Counter(plan.partners[rank] for rank in passes if rank in plan.partners)
        return self._left.setdefault(batch, _Left(Counter(passes), together))
