"""The layout that a run file gives: layers, groups and shares, checked against the work."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import inf

from mpiedge.errors import BadInput
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work


def shares_of(settings: StrategySettings, work: Work) -> list[float]:
    """Each rank's part of a batch: as the run file asks, else by speed."""
    shares = settings.shares or [device.speed for device in work.cost.devices]
    if len(shares) != len(work.ranks) or not all(0 < share < inf for share in shares):
        raise BadInput(
            f"strategy.shares {shares} has to name one share above 0 for each of the "
            f"{len(work.ranks)} ranks"
        )
    return shares


def check_enough(work: Work) -> None:
    """Raise BadInput when not every rank can have a micro-batch of each batch."""
    if work.micro_batches < len(work.ranks):
        raise BadInput(
            f"a batch has {work.micro_batches} micro-batches, fewer than the {len(work.ranks)} "
            f"ranks; lower training.micro_batch_size or raise training.batch_size"
        )


def given_cut(sizes: Sequence[int], work: Work) -> tuple[range, ...]:
    """The cut over all ranks that the run file asks for; empty when it leaves it to the planner."""
    if not sizes:
        return ()
    if len(sizes) != len(work.ranks) or sum(sizes) != len(work.layers) or min(sizes) < 1:
        raise BadInput(
            f"strategy.layers {list(sizes)} names {sum(sizes)} layers for {len(sizes)} ranks; it "
            f"has to name at least one for each of the ranks started, {len(work.ranks)}, and "
            f"{len(work.layers)} in all (embedding and head counted)"
        )
    return _runs(sizes)


def given_groups(settings: StrategySettings, work: Work) -> tuple[tuple[int, ...], ...]:
    """The ranks of each stage, as the run file gives them; empty when it leaves it to the planner.

    Raises BadInput unless every rank is in one group, and every group has enough to do.
    """
    groups = tuple(_ranks(written) for written in settings.groups)
    if groups and sorted(rank for group in groups for rank in group) != list(work.ranks):
        raise BadInput(
            f"strategy.groups {settings.groups} has to name each of the ranks started, "
            f"0..{len(work.ranks) - 1}, exactly once"
        )
    largest = max(map(len, groups), default=0)
    if largest > work.micro_batches:
        raise BadInput(
            f"strategy.groups {settings.groups} has a group of {largest} ranks, and a batch has "
            f"{work.micro_batches} micro-batches; lower training.micro_batch_size, raise "
            f"training.batch_size, or make smaller groups"
        )
    if len(groups) > len(work.layers):
        raise BadInput(
            f"strategy.groups {settings.groups} names {len(groups)} stages, more than the model's "
            f"{len(work.layers)} layers (embedding and head counted); name fewer"
        )
    return groups


def given_stages(settings: StrategySettings, work: Work) -> tuple[range, ...]:
    """The layers of each stage, as the run file gives them; empty when left to the planner."""
    sizes, stages = settings.layers, len(settings.groups)
    if not sizes:
        return ()
    if sum(sizes) != len(work.layers) or min(sizes) < 1 or len(sizes) > len(work.ranks):
        raise BadInput(
            f"strategy.layers {sizes} names {sum(sizes)} layers for {len(sizes)} stages; it has to "
            f"name at least one for each stage, of which there can be {len(work.ranks)} as there "
            f"are ranks, and {len(work.layers)} in all (embedding and head counted)"
        )
    if stages not in (0, len(sizes)):
        raise BadInput(
            f"strategy.layers {sizes} names {len(sizes)} stages and strategy.groups "
            f"{settings.groups} {stages}; name as many in both"
        )
    return _runs(sizes)


def _ranks(written: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in written.split(","))
    except ValueError:
        raise BadInput(
            f"strategy.groups has {written!r}, which is not a list of ranks as in '0,1'"
        ) from None


def _runs(sizes: Sequence[int]) -> tuple[range, ...]:
    return tuple(range(start, stop) for start, stop in pairwise((0, *accumulate(sizes))))
