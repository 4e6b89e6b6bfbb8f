"""Better cuts of a grouping: one border between two stages is moved, as long as that helps.

PAC's equations follow one batch and do not see that a link is busy: where a stage only goes
forward, the cut decides how much crosses it.  Our design.
"""

from collections.abc import Callable, Iterator

from mpiedge.plan.grouping import Grouping


def settled(
    one: Grouping, bridge: int | None, cost: Callable[[Grouping], tuple[float, ...]]
) -> Grouping:
    """The grouping, or one with other borders of which none can be moved for a lower cost."""
    least, better = cost(one), True
    while better:
        found = [(cost(each), place) for place, each in enumerate(moved(one, bridge))]
        lowest, place = min(found, default=(least, 0))
        better = lowest < least
        if better:
            least, one = lowest, tuple(moved(one, bridge))[place]
    return one


def moved(one: Grouping, bridge: int | None) -> Iterator[Grouping]:
    """The same groups with one border anywhere else; no stage on both sides of the bridge."""
    for place, (below, above) in enumerate(zip(one.groups, one.groups[1:], strict=False)):
        for border in range(below.layers.start + 1, above.layers.stop):
            pair = (
                below._replace(layers=range(below.layers.start, border)),
                above._replace(layers=range(border, above.layers.stop)),
            )
            if border == above.layers.start or any(_over(each.layers, bridge) for each in pair):
                continue
            yield one._replace(groups=(*one.groups[:place], *pair, *one.groups[place + 2 :]))


def _over(layers: range, bridge: int | None) -> bool:
    return bridge is not None and layers.start < bridge < layers.stop
