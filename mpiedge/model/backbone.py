"""Where a layer's backbone output comes from: computed, computed and recorded, or replayed.

A frozen backbone makes the same of the same example every time.  Whoever runs layers asks through
this one call, and does not know whether anything was computed.  Our design, after PAC section 4.2.
"""

from collections.abc import Callable
from typing import Protocol

from mpiedge.model.activation import Activation


class Backbone(Protocol):
    """Called for every layer but the head.

    The masks of ``x`` are those that hold behind the layer, also at the bridge to a decoder, so
    that a replay is ``x._replace(hidden=...)``; ``compute`` runs the layer itself.
    """

    def __call__(
        self, layer: int, x: Activation, compute: Callable[[], Activation], /
    ) -> Activation:
        """What leaves the layer."""


def computed(_: int, __: Activation, compute: Callable[[], Activation]) -> Activation:
    """The backbone itself."""
    return compute()
