"""What a run has tuned, from wherever it is trained to rank 0."""

from torch import Tensor

from mpiedge.comm.transport import Transport
from mpiedge.model.shard import Shard
from mpiedge.pipeline.hand_over import hand_over, owners_of
from mpiedge.strategy.strategy import Phase, layers_of


def collect(
    transport: Transport, shard: Shard, phase: Phase, last: int, tuned: frozenset[str]
) -> dict[str, Tensor] | None:
    """The weights ``tuned`` by name, on rank 0, after batch ``last`` of the run.

    Each comes from the lowest rank that has just trained it; one that was never unfrozen from the
    lowest that holds it.  With every weight tuned, what else a checkpoint holds comes along.
    """
    wanted, layers_with = tuned | _constants(shard), shard.blueprint.layers_of
    owners = owners_of(shard.blueprint, phase.plan.batch(last), wanted)
    held = {rank: frozenset(layers_of(phase, rank)) for rank in range(transport.size)}
    for name in sorted(wanted - owners.keys()):
        owners[name] = min(r for r in held if not held[r].isdisjoint(layers_with(name)))
    here = {**dict(shard.model.named_parameters()), **dict(shard.model.named_buffers())}
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
