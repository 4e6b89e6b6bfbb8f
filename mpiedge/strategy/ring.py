"""RingAda: data stays where it is, blocks form a ring, adapters unfreeze from the top.

    client 0 on rank 0   0 [0]   0 [1 2]   1 [3 4]   2 [5 6]   0 [7]
    client 1 on rank 1   1 [0]   0 [1 2]   1 [3 4]   2 [5 6]   1 [7]

A batch's route begins and ends on its client's rank, which embeds the tokens and, at the other end
of the ring, has the labels: neither leaves it.  Backward ends at the lowest unfrozen block.  Below
it everything is at rest, so those stages go on with the batches to come.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from mpiedge.errors import BadInput
from mpiedge.plan.arrange import Places, Ring, arrange
from mpiedge.plan.balance import Infeasible
from mpiedge.plan.partition import PartitionPlan, Route, Stage
from mpiedge.plan.schedule import ONE_F_ONE_B, Policy
from mpiedge.strategy.initiators import period, turns
from mpiedge.strategy.ring_places import Laying, placed
from mpiedge.strategy.roles import roles
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source, Watch, Work
from mpiedge.strategy.unfreezing import Span, spans


def ring(settings: StrategySettings, work: Work) -> tuple[Phase, ...]:
    """A phase for each depth; with the prefix cache, the first epoch records and others replay."""
    blocks = blocks_of(work)
    depths = spans(settings, len(blocks), work.batches)
    places, policy = _laid(settings, work, depths)
    made = _Plans(settings, work, places)
    epoch = _recording(settings, work)
    lowest = [blocks[-span.depth] for span in depths]
    later = (ell for ell, span in zip(lowest, depths, strict=True) if span.stop > epoch)
    entrances = tuple(sorted(set(later)))
    phases: list[Phase] = []
    for level, (span, ell) in enumerate(zip(depths, lowest, strict=True)):
        waits = settings.unfreeze == "plateau" and level + 1 < len(depths)
        whole = Phase(
            plan=made.plan(ell),
            batches=span.stop - span.start,
            policy=policy,
            evaluation=made.evaluation(),
            until=span.stop,
            level=level,
            watch=Watch(settings.patience, settings.tolerance) if waits else None,
            together=_together(settings),
        )
        phases += _parts(whole, span, epoch, entrances, made.plan(ell, start=ell))
    return tuple(phases)


def blocks_of(work: Work) -> tuple[int, ...]:
    """The layers that the ring is made of: all but the embeddings and the head."""
    apart = {0, work.bridge, work.layers.stop - 1}
    return tuple(layer for layer in work.layers if layer not in apart)


class _Plans:
    """Plans of one ring at any depth."""

    def __init__(self, settings: StrategySettings, work: Work, places: Places) -> None:
        self._work, self._blocks = work, blocks_of(work)
        self._rank = {self._blocks[i]: rank for rank, part in places for i in part}
        home = roles(settings, len(work.ranks)).home
        homes = [home(client) for client in turns(work.clients, settings)]
        self._homes = homes[: period(homes)]

    def plan(self, lowest: int, start: int = 0) -> PartitionPlan:
        """All clients' routes from layer ``start`` on, trained from block ``lowest`` on."""
        work, homes = self._work, self._homes
        used = sorted(set(homes))
        routes = tuple(self._route(rank, lowest, start) for rank in used)
        taken = tuple(used.index(rank) for rank in homes for _ in range(work.micro_batches))
        return PartitionPlan(routes, taken, work.joint_update, cycle=len(homes), still=lowest)

    def evaluation(self) -> PartitionPlan:
        """The route of the first client, on whose rank the validation examples are."""
        work = self._work
        return PartitionPlan((self._route(0, work.layers.stop, 0),), (0,) * work.micro_batches)

    def _route(self, initiator: int, lowest: int, start: int) -> Route:
        work = self._work

        def place(layer: int) -> tuple[int, bool]:
            return self._rank.get(layer, initiator), layer in self._rank

        layers = range(start, work.layers.stop)
        runs = [list(run) for _, run in groupby(layers, place)]
        tuned = frozenset(layer for layer in work.trainable if layer >= lowest)
        return tuple(
            Stage(place(run[0])[0], range(run[0], run[-1] + 1), tuned & frozenset(run))
            for run in runs
        )


def _parts(
    whole: Phase, span: Span, epoch: int, entrances: tuple[int, ...], replaying: PartitionPlan
) -> list[Phase]:
    """A depth's phase, parted where the first epoch ends."""
    if not epoch:
        return [whole]
    parts = []
    if span.start < epoch:
        stop = min(span.stop, epoch)
        first = replace(whole, batches=stop - span.start, until=stop)
        parts.append(replace(first, source=Source.RECORD, entrances=entrances))
    if span.stop > epoch:
        rest = replace(whole, batches=span.stop - max(epoch, span.start), plan=replaying)
        entrance = (replaying.routes[0][0].layers.start,)
        parts.append(replace(rest, source=Source.REPLAY, entrances=entrance))
    return parts


def _recording(settings: StrategySettings, work: Work) -> int:
    """Batches of the epoch that is recorded; 0 where nothing is."""
    if not settings.prefix_cache or work.batches <= work.epoch:
        return 0
    if work.bridge is not None:
        raise BadInput(
            "strategy.prefix_cache keeps what enters one block, and a model with a decoder apart "
            "needs its encoder's output too; set it to false"
        )
    return work.epoch


def _together(settings: StrategySettings) -> int:
    if not settings.run_ahead:
        return 1
    return settings.patience if settings.unfreeze == "plateau" else Phase.together


def _laid(settings: StrategySettings, work: Work, depths: Sequence[Span]) -> tuple[Places, Policy]:
    """The blocks of each rank, and how many micro-batches a stage may hold."""
    order = _given_order(settings, work)
    given = _given_places(settings, work, order)
    one = _ring(settings, work, depths)
    places = given or _moved_about(arrange(one, order), settings, work, one)
    policy = _policy(settings, work, one, places)
    if policy is None:
        raise Infeasible(_too_full(one, places))
    return places, policy


def _policy(settings: StrategySettings, work: Work, one: Ring, places: Places) -> Policy | None:
    """1F1B with a bound on what any stage holds; None where nothing fits."""
    most = settings.in_flight
    if not most:
        stages = len(work.ranks) + (2 if work.bridge is None else 3)
        fitting = (n for n in range(stages, 0, -1) if _fits(replace(one, in_flight=n), places))
        most = next(fitting, 0)
    return ONE_F_ONE_B._replace(most=most) if most else None


def _moved_about(found: Places, settings: StrategySettings, work: Work, one: Ring) -> Places:
    """The places once links are in view, where these are known to differ."""
    if not work.cost.links:
        return found
    lowest = next(block for block, part in zip(one.blocks, one.trained, strict=True) if part)
    laying = Laying(
        plan_of=lambda places: _Plans(settings, work, places).plan(lowest),
        policy_of=lambda places: _policy(settings, work, one, places),
        cost=work.cost,
        free=not settings.order,
    )
    return placed(found, laying)


def _fits(one: Ring, places: Places) -> bool:
    return all(one.memory(rank, part) <= one.cost.devices[rank].memory for rank, part in places)


def _too_full(one: Ring, places: Places) -> str:
    rank, part = max(places, key=lambda p: one.memory(*p) - one.cost.devices[p[0]].memory)
    return (
        f"rank {rank} needs {one.memory(rank, part) / 2**20:.0f} MiB for {len(part)} blocks, the "
        f"embedding and the head, and has {one.cost.devices[rank].memory / 2**20:.0f} MiB free; "
        f"give it fewer in strategy.layers, or leave that out"
    )


def _ring(settings: StrategySettings, work: Work, depths: Sequence[Span]) -> Ring:
    blocks, cost = blocks_of(work), work.cost
    # How long each depth will last is unknown before a plateau: all alike.
    known = settings.unfreeze != "plateau"
    lasting = [span.stop - span.start if known else 1 for span in depths]
    trained = tuple(
        sum(
            length
            for length, span in zip(lasting, depths, strict=True)
            if block >= blocks[-span.depth]
        )
        / sum(lasting)
        for block in blocks
    )
    head = work.layers.stop - 1
    own = sum(cost.layers[i].weights for i in work.layers if i not in blocks)
    own += (1 + cost.moments) * cost.layers[head].tuned + cost.layers[head].activation
    home = roles(settings, len(work.ranks)).home
    initiators = {home(client) for client in range(len(work.clients))}
    each = tuple(own if rank in initiators else 0 for rank in work.ranks)
    return Ring(cost, blocks, trained, each)


def _given_order(settings: StrategySettings, work: Work) -> tuple[int, ...]:
    order = settings.order
    if order and sorted(order) != list(work.ranks):
        raise BadInput(
            f"strategy.order {order} has to name each of the ranks started, "
            f"0..{len(work.ranks) - 1}, exactly once"
        )
    return tuple(order)


def _given_places(settings: StrategySettings, work: Work, order: Sequence[int]) -> Places:
    sizes, blocks = settings.layers, len(blocks_of(work))
    if not sizes:
        return ()
    if len(sizes) != len(work.ranks) or sum(sizes) != blocks or min(sizes) < 1:
        raise BadInput(
            f"strategy.layers {sizes} names {sum(sizes)} blocks for {len(sizes)} ranks; it has to "
            f"name at least one for each of the ranks started, {len(work.ranks)}, and {blocks} in "
            f"all (embedding and head, which every device has, not counted)"
        )
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    ranks = order or work.ranks
    return tuple(
        (rank, range(end - size, end)) for rank, end, size in zip(ranks, ends, sizes, strict=True)
    )
