"""Named tensors brought from the ranks that own them to the ranks that want them.

A run's phases may lay the model out differently; what was tuned, and the optimizer's moments with
it, then has to follow.  At the end of a run it has to come to rank 0.
"""

from collections.abc import Collection, Mapping

from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.model.blueprint import Blueprint
from mpiedge.plan.partition import PartitionPlan

Named = dict[str, tuple[Tensor, ...]]
"""Tensors by a weight's name: the weight itself, and what belongs to it."""


def owners_of(blueprint: Blueprint, plan: PartitionPlan, names: Collection[str]) -> dict[str, int]:
    """For each tuned weight, the lowest rank that trains it under a plan."""
    ranks = {name: plan.ranks_of(blueprint.layers_of(name)) for name in sorted(names)}
    return {name: found[0] for name, found in ranks.items() if found}


def hand_over(
    transport: Transport,
    held: Mapping[str, tuple[Tensor, ...]],
    owners: Mapping[str, int],
    wanted: Mapping[int, Collection[str]],
) -> Named:
    """What this rank wants, from whoever owns it; called by every rank, with the same maps.

    ``held`` are this rank's own tensors, ``owners`` says whose count, ``wanted`` who needs which.
    Every name of one owner has equally many tensors.
    """
    here = transport.rank
    for dest in sorted(wanted):
        names = _between(here, dest, owners, wanted)
        if names and dest != here:
            sent = [tensor.detach().cpu() for name in names for tensor in held[name]]
            transport.send(sent, dest, Tag(Kind.WEIGHTS, here))
    received: Named = {}
    for source in sorted(set(owners.values())):
        names = _between(source, here, owners, wanted)
        if names and source != here:
            tensors = transport.recv(source, Tag(Kind.WEIGHTS, source))
            each = len(tensors) // len(names)
            parts = (tensors[i * each : (i + 1) * each] for i in range(len(names)))
            received.update(zip(names, parts, strict=True))
        elif names:
            received.update({name: held[name] for name in names})
    transport.flush()
    return received


def _between(
    source: int, dest: int, owners: Mapping[str, int], wanted: Mapping[int, Collection[str]]
) -> list[str]:
    """The names that go from one rank to another, in an order both know."""
    return sorted(name for name in wanted.get(dest, ()) if owners.get(name) == source)
