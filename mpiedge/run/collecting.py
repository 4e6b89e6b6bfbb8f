"""Tuned weights from wherever they are trained to rank 0."""

from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.model.shard import Shard
from mpiedge.plan.partition import PartitionPlan


def collect(transport: Transport, shard: Shard, plan: PartitionPlan) -> dict[str, Tensor] | None:
    """All tuned weights by name, on rank 0; each comes from the lowest rank that trains it."""
    tuned = shard.tuned_parameters()
    owners = {
        name: plan.ranks_of(shard.blueprint.layers_of(name))[0] for name in sorted(shard.tuned)
    }
    if transport.rank in owners.values():
        mine = [tuned[name].detach().cpu() for name in owners if owners[name] == transport.rank]
        transport.send(mine, 0, Tag(Kind.WEIGHTS, transport.rank))
        transport.flush()
    if transport.rank != 0:
        return None
    weights: dict[str, Tensor] = {}
    for rank in sorted(set(owners.values())):
        names = [name for name in owners if owners[name] == rank]
        tensors = transport.recv(rank, Tag(Kind.WEIGHTS, rank))
        weights.update(zip(names, tensors, strict=True))
    return weights
