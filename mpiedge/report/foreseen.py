"""The timeline that a stored plan implies, played where nothing is known but the layers.

What devices and links cost is not kept with a run, so each layer counts one unit forward and two
backward, and messages none (our design): the order of work and its gaps, not its seconds.
``mpiedge simulate`` plays the same plan against real costs.
"""

from collections.abc import Iterable

from mpiedge.plan.partition import Stage
from mpiedge.plan.schedule import simulate
from mpiedge.plan.timeline import Pass
from mpiedge.report.story import Bar
from mpiedge.strategy.strategy import Phase, Rounds

_BATCHES = 3
_MOST = 6000  # passes that are still drawn: a picture with more shows nothing
_NAMES = {Pass.FORWARD: "forward", Pass.BACKWARD: "backward", Pass.UPDATE: "update"}


class LayerCost:
    """One unit a layer forward and two backward; everything else is free."""

    def forward(self, stage: Stage) -> float:
        """As many units as layers."""
        return float(len(stage.layers))

    def backward(self, stage: Stage, lowest: bool) -> float:
        """Twice the layers; at the lowest stage those from the lowest trained layer on."""
        low = min(stage.trainable, default=stage.layers.start) if lowest else stage.layers.start
        return 2.0 * (stage.layers.stop - low)

    def send(self, source: Stage, dest: Stage) -> float:
        """Nothing."""
        return 0.0

    def update(self, rank: int) -> float:
        """Nothing."""
        return 0.0

    def travel(self, source: int, dest: int, layers: Iterable[int]) -> float:
        """Nothing."""
        return 0.0


def foreseen(phase: Phase) -> tuple[Bar, ...]:
    """The passes of a phase's first batches; none of a phase in rounds, or of very many passes."""
    batches = min(_BATCHES, phase.batches, phase.together)
    longest = max(len(route) for route in phase.plan.routes)
    passes = 2 * batches * longest * len(phase.plan.micro_batches)
    if phase.rounds is not Rounds.NONE or not 0 < passes <= _MOST:
        return ()
    plan = phase.plan.excerpt(range(batches))
    timeline = simulate(plan, LayerCost(), phase.policy, batches)
    return tuple(
        Bar(span.rank, _NAMES[span.action.which], span.start, span.end - span.start)
        for span in timeline.spans
        if span.end > span.start
    )
