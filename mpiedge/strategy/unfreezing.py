"""How many blocks are trained, counted from the top, and when more of them are.

RingAda's schedule, of which only the direction is published: D(t) = D0 + step * floor(t / interval)
and its alternatives are our reading.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.strategy.settings import StrategySettings


class Span(NamedTuple):
    """Batches with one depth; while it waits for a plateau, ``stop`` is the latest end."""

    depth: int
    start: int
    stop: int


def spans(settings: StrategySettings, blocks: int, batches: int) -> tuple[Span, ...]:
    """The depths of a run one after the other; raises BadInput for more than there are blocks."""
    depths = _depths(settings, blocks, batches)
    if settings.unfreeze == "plateau":
        return tuple(Span(depth, 0, batches) for depth in dict.fromkeys(depths))
    found: list[Span] = []
    for index, depth in enumerate(depths):
        start = index * settings.interval
        if start >= batches:
            break
        if found and found[-1].depth == depth:
            start = found.pop().start
        last = index + 1 == len(depths)
        found.append(Span(depth, start, batches if last else start + settings.interval))
    return tuple(_joined(found, batches))


def _joined(found: Sequence[Span], batches: int) -> Iterator[Span]:
    """Each span up to where the next one starts."""
    stops = [*(span.start for span in found[1:]), batches]
    for span, stop in zip(found, stops, strict=True):
        yield span._replace(stop=stop)


def _depths(settings: StrategySettings, blocks: int, batches: int) -> list[int]:
    if settings.depths:
        return _listed(settings, blocks)
    if settings.depth > blocks:
        raise BadInput(
            f"strategy.depth {settings.depth} unfreezes more blocks than the model's {blocks}; "
            f"lower it to {blocks} or less"
        )
    if not settings.step or not settings.interval:
        return [settings.depth]
    count = batches if settings.unfreeze == "plateau" else -(-batches // settings.interval)
    steps = min(count, -(-(blocks - settings.depth) // settings.step) + 1)
    return [min(blocks, settings.depth + i * settings.step) for i in range(steps)]


def _listed(settings: StrategySettings, blocks: int) -> list[int]:
    depths = settings.depths
    if max(depths) > blocks:
        raise BadInput(
            f"strategy.depths {depths} unfreezes {max(depths)} blocks and the model has {blocks}; "
            f"name no more than {blocks}"
        )
    if min(depths) < 1 or depths != sorted(depths):
        raise BadInput(
            f"strategy.depths {depths} has to begin at 1 or more and never to fall: what was "
            f"unfrozen once stays so"
        )
    if len(set(depths)) > 1 and not settings.interval:
        raise BadInput(
            f"strategy.depths {depths} names several depths, but strategy.interval is 0; set it "
            f"to the number of batches that each of them lasts"
        )
    return depths
