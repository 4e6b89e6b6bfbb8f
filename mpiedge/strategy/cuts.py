"""How many blocks each device runs: what it can hold, as deep as still hides behind the server.

Our reading of SplitFrozen, which gives no rule: the largest cut that fits the device's memory and
for which the device, or its uplink, needs no longer for its share of an epoch than the server for
all of it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.cost import CostModel
from mpiedge.plan.partition import Stage
from mpiedge.strategy.roles import SERVER

_MIB = 2**20


class Share(NamedTuple):
    """A device's part of the work."""

    rank: int
    examples: int
    clients: tuple[int, ...]


def given_cuts(cuts: Sequence[int], shares: Sequence[Share], clients: int) -> dict[int, int]:
    """Each device's cut as the run file gives it: the deepest of its clients' cuts.

    Raises BadInput unless there is one number for all clients, or one for each.
    """
    if len(cuts) not in (1, clients):
        raise BadInput(
            f"strategy.cuts {list(cuts)} names {len(cuts)} cuts for {clients} clients; name one "
            f"for each, or one for all"
        )
    each = list(cuts) * clients if len(cuts) == 1 else list(cuts)
    return {share.rank: max(each[client] for client in share.clients) for share in shares}


def planned_cuts(
    cost: CostModel, shares: Sequence[Share], deepest: int, trainable: frozenset[int]
) -> dict[int, int]:
    """Each device's cut, of at most ``deepest`` blocks."""
    total = sum(share.examples for share in shares)
    tuned = Stage(SERVER, range(deepest + 1, len(cost.layers)), trainable)
    each = cost.forward(tuned) + cost.backward(tuned, lowest=True)
    patience = {share.rank: each * total / share.examples for share in shares}
    return {share.rank: _cut(cost, share.rank, deepest, patience) for share in shares}


def device_bytes(cost: CostModel, rank: int, cut: int) -> int:
    """What a device needs: weights, one block's working set, and what leaves."""
    layers = cost.layers[: cut + 1]
    working = max(layer.activation + layer.working for layer in layers)
    return sum(layer.weights for layer in layers) + working + layers[-1].boundary


def check_devices(cost: CostModel, cuts: Mapping[int, int]) -> None:
    """Raise Infeasible where a device cannot hold the blocks up to its cut."""
    for rank, cut in cuts.items():
        needed, free = device_bytes(cost, rank, cut), cost.devices[rank].memory
        if needed > free:
            what = "one block" if cut == 1 else f"{cut} blocks"
            raise Infeasible(
                f"rank {rank} has {free / _MIB:.0f} MiB free and needs {needed / _MIB:.0f} MiB for "
                f"the embedding and {what}; lower its cut in strategy.cuts or "
                f"training.micro_batch_size, or set model.dtype to bfloat16"
            )


def _cut(cost: CostModel, rank: int, deepest: int, patience: Mapping[int, float]) -> int:
    if rank == SERVER:
        return deepest
    fits = [c for c in range(1, deepest + 1) if _fits(cost, rank, c)]
    hidden = [c for c in fits if _seconds(cost, rank, c) <= patience[rank]]
    return max(hidden, default=min(fits, default=1))


def _fits(cost: CostModel, rank: int, cut: int) -> bool:
    return device_bytes(cost, rank, cut) <= cost.devices[rank].memory


def _seconds(cost: CostModel, rank: int, cut: int) -> float:
    """A device computes one micro-batch while the one before leaves."""
    stage = Stage(rank, range(cut + 1))
    after = Stage(SERVER, range(cut + 1, len(cost.layers)))
    return max(cost.forward(stage), cost.send(stage, after))
