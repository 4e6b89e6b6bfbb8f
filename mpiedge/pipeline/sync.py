"""Keeping the copies of a tuned weight the same.

A weight is trained by the ranks that train a layer in which it occurs.  Replicas of a layer are
one reason for there to be several such ranks; a weight that two layers share (tied embeddings,
T5's relative bias) is the other.  Both are one rule here: sum over those ranks.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from mpiedge.comm.transport import Transport
from mpiedge.model.shard import Shard
from mpiedge.plan.partition import PartitionPlan

CROSSING = {"float32": None, "bfloat16": torch.bfloat16}
"""By the setting ``comm.sums``, the number format in which gradients cross; none: their own."""

Weights = dict[str, nn.Parameter]


def trained(shard: Shard, plan: PartitionPlan, rank: int) -> dict[tuple[int, ...], Weights]:
    """The weights this rank trains, by the ranks that train them together; none that are apart."""
    groups: dict[tuple[int, ...], Weights] = {}
    for name, parameter in shard.tuned_parameters().items():
        layers = shard.blueprint.layers_of(name)
        ranks = plan.ranks_of(layers)
        if rank in ranks and plan.apart.isdisjoint(layers):
            groups.setdefault(ranks, {})[name] = parameter
    return {ranks: groups[ranks] for ranks in sorted(groups)}


def sum_gradients(
    transport: Transport, shard: Shard, plan: PartitionPlan, crossing: torch.dtype | None = None
) -> None:
    """Give every trainer of a weight the batch's whole gradient: one message a group of ranks.

    They cross in their own number format, or in ``crossing``.
    """
    for ranks, weights in trained(shard, plan, transport.rank).items():
        gradients = [gradient_of(weights[name]) for name in sorted(weights)]
        if len(ranks) > 1:
            gradients = summed_later(transport, gradients, ranks, crossing)()
        for name, gradient in zip(sorted(weights), gradients, strict=True):
            weights[name].grad = gradient


def global_norm(
    transport: Transport, shard: Shard, plan: PartitionPlan, apart: Iterable[nn.Parameter] = ()
) -> float:
    """The norm of the whole gradient, each weight counted once, on every rank that trains.

    ``apart`` are weights of this rank's own.
    """
    squares = torch.zeros(1, dtype=torch.float64)
    for ranks, weights in trained(shard, plan, transport.rank).items():
        if ranks[0] == transport.rank:
            norms = [gradient_of(weights[name]).norm().double() for name in sorted(weights)]
            squares += sum((norm.cpu() ** 2 for norm in norms), torch.zeros(1, dtype=torch.float64))
    own = (each.grad.norm().double().cpu() for each in apart if each.grad is not None)
    squares += sum((norm**2 for norm in own), torch.zeros(1, dtype=torch.float64))
    transport.all_reduce(squares, plan.ranks_of(plan.trainers))
    return float(squares.sqrt().item())


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """The parameter's gradient; zero when no micro-batch of this rank reached it."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def summed_later(
    transport: Transport,
    gradients: Sequence[Tensor],
    ranks: tuple[int, ...],
    crossing: torch.dtype | None = None,
) -> Callable[[], list[Tensor]]:
    """Gradients, of one device, summed over ``ranks`` in one message, which is begun here.

    What is returned waits, and gives the sums.
    """
    flat = torch.cat([gradient.flatten() for gradient in gradients]).cpu().to(crossing)
    finish = transport.sum_later(flat, ranks)

    def sums() -> list[Tensor]:
        finish()
        sizes = [gradient.numel() for gradient in gradients]
        parts = torch.split(flat.to(gradients[0]), sizes)
        return [part.view_as(like) for part, like in zip(parts, gradients, strict=True)]

    return sums
