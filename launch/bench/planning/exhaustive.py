"""Every plan that a small cluster can have, strategy by strategy, and the fastest that fits."""

from dataclasses import dataclass, replace
from itertools import combinations, pairwise, permutations, product
from math import inf

from mpiedge.errors import BadInput
from mpiedge.strategy.forecast import Costs, forecast
from mpiedge.strategy.pac import recording, replaying
from mpiedge.strategy.registry import STRATEGIES
from mpiedge.strategy.ring import blocks_of
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Phase, Source


@dataclass(frozen=True)
class Found:
    """A strategy's plan and the seconds of the run by it; infinite where none fits."""

    strategy: str
    seconds: float


def planned(name, work):
    """What the planner finds for a strategy."""
    if name == "standalone":
        return Found(name, _seconds(name, settings_of(name, work), _alone(work)))
    return Found(name, _seconds(name, settings_of(name, work), work))


def best(name, work):
    """The fastest of all plans of a strategy."""
    if name == "pac":
        return Found(name, _best_pac(work))
    if name == "standalone":
        return planned(name, work)
    every = (_seconds(name, each, work) for each in _EVERY[name](work))
    return Found(name, min(every, default=inf))


def settings_of(name, work):
    """The strategy with all blocks trained from the start, so that all strategies do the same."""
    return StrategySettings(name=name, interval=0, depth=len(blocks_of(work)))


def _alone(work):
    device = work.cost.devices[:1]
    return replace(work, cost=replace(work.cost, devices=device, links=()), clients=())


def _seconds(name, settings, work):
    try:
        return seconds(STRATEGIES[name](settings, work), work)
    except BadInput:
        return inf


def seconds(phases, work):
    """Of the run; infinite where a rank has too little memory."""
    found = forecast(phases, Costs(work.cost, work.cost), work.epoch)
    devices = work.cost.devices
    fits = all(need.total <= devices[rank].memory for rank, need in found.memory.items())
    return found.seconds if fits else inf


def _pipelines(work):
    for sizes in parts(len(work.layers), len(work.ranks)):
        yield replace(settings_of("pipeline", work), layers=list(sizes))


def _replicas(work):
    for counts in parts(work.micro_batches, len(work.ranks)):
        yield replace(settings_of("data-parallel", work), shares=list(map(float, counts)))


def _rings(work):
    """Any number of ranks in any order, with every cut of the blocks."""
    blocks = len(blocks_of(work))
    for count in range(1, len(work.ranks) + 1):
        for order in permutations(work.ranks, count):
            for sizes in parts(blocks, count):
                given = {"order": list(order), "layers": list(sizes)}
                yield replace(settings_of("ring", work), **given)


_EVERY = {"pipeline": _pipelines, "data-parallel": _replicas, "ring": _rings}


def _best_pac(work):
    """Of those that train while they record, and those that record beforehand."""
    before = (_seconds("pac", replace(each, record="before"), work) for each in _hybrids(work))
    return min(_best_published(work), min(before, default=inf))


def _best_published(work):
    """Recording and replaying do not wait on each other, so each has its own best."""
    count = work.epoch
    first = {plan: _phase_seconds(plan, count, Source.RECORD, work) for plan in _recordings(work)}
    if not first:
        return inf
    fastest = min(first, key=first.__getitem__)
    again = (
        _phase_seconds(plan, work.batches - count, Source.REPLAY, work)
        for plan in _replayings(work, fastest)
    )
    return first[fastest] + min(again, default=inf)


def _recordings(work):
    for each in _hybrids(work):
        try:
            yield recording(each, work).plan
        except BadInput:
            continue


def _hybrids(work):
    """Every grouping with every cut and all shares."""
    for groups in _groupings(tuple(work.ranks)):
        choices = [list(parts(work.micro_batches, len(group))) for group in groups]
        for sizes, *counts in product(parts(len(work.layers), len(groups)), *choices):
            shares = {
                r: c
                for g, cs in zip(groups, counts, strict=True)
                for r, c in zip(g, cs, strict=True)
            }
            given = {
                "groups": [",".join(map(str, group)) for group in groups],
                "layers": list(sizes),
                "shares": [float(shares[rank]) for rank in work.ranks],
            }
            yield replace(settings_of("pac", work), **given)


def _replayings(work, recorded):
    for counts in parts(work.micro_batches, len(work.ranks)):
        settings = replace(settings_of("pac", work), shares=list(map(float, counts)))
        try:
            yield replaying(settings, work, recorded)
        except BadInput:
            return


def _phase_seconds(plan, count, source, work):
    return seconds((Phase(plan, count, source=source),), work)


def _groupings(ranks):
    """All ways to part ranks into groups in a row."""
    if not ranks:
        yield ()
    for size in range(1, len(ranks) + 1):
        for group in combinations(ranks, size):
            rest = tuple(rank for rank in ranks if rank not in group)
            yield from ((group, *others) for others in _groupings(rest))


def parts(whole, count):
    """All ways to write a number as a sum of so many, each at least 1, in a row."""
    for cuts in combinations(range(1, whole), count - 1):
        yield tuple(b - a for a, b in pairwise((0, *cuts, whole)))
