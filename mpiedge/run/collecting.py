"""What a run has tuned, from wherever it is trained to rank 0."""

from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.model.shard import Shard
from mpiedge.plan.partition import PartitionPlan


def collect(transport: Transport, shard: Shard, plan: PartitionPlan) -> dict[str, Tensor] | None:
    """All tuned weights by name, on rank 0; each comes from the lowest rank that trains it.

    With every weight tuned, what else a checkpoint of the model holds comes along.
    """
    layers = {name: shard.blueprint.layers_of(name) for name in (*shard.tuned, *_constants(shard))}
    owners = {name: plan.ranks_of(layers[name])[0] for name in sorted(layers) if layers[name]}
    here = {**shard.tuned_parameters(), **dict(shard.model.named_buffers())}
    if transport.rank in owners.values():
        mine = [here[name].detach().cpu() for name in owners if owners[name] == transport.rank]
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


def _constants(shard: Shard) -> set[str]:
    """Tensors of a checkpoint that are no weights, where the whole model is tuned."""
    if any(name not in shard.tuned for name, _ in shard.model.named_parameters()):
        return set()
    stored = shard.model.state_dict().keys()
    return {name for name, _ in shard.model.named_buffers() if name in stored}
