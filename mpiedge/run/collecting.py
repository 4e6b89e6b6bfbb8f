"""What a run has tuned, from wherever it is trained to rank 0."""

from torch import Tensor

from mpiedge.comm.transport import Transport
from mpiedge.model.shard import Shard
from mpiedge.pipeline.hand_over import hand_over, owners_of
from mpiedge.plan.partition import PartitionPlan


def collect(transport: Transport, shard: Shard, plan: PartitionPlan) -> dict[str, Tensor] | None:
    """All tuned weights by name, on rank 0; each comes from the lowest rank that trains it.

    With every weight tuned, what else a checkpoint of the model holds comes along.
    """
    owners = owners_of(shard.blueprint, plan, shard.tuned | _constants(shard))
    here = {**shard.tuned_parameters(), **dict(shard.model.named_buffers())}
    mine = {name: (here[name],) for name in owners if owners[name] == transport.rank}
    received = hand_over(transport, mine, owners, {0: owners})
    if transport.rank != 0:
        return None
    return {name: tensors[0].detach().cpu() for name, tensors in received.items()}


def _constants(shard: Shard) -> frozenset[str]:
    """Tensors of a checkpoint that are no weights, where the whole model is tuned."""
    if any(name not in shard.tuned for name, _ in shard.model.named_parameters()):
        return frozenset()
    stored = shard.model.state_dict().keys()
    return frozenset(name for name, _ in shard.model.named_buffers() if name in stored)
