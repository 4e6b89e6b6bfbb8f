"""Some batches of a run as they would be played, with nothing loaded.

The play is the one that a run orders its work by, timed by the cost model.
"""

from dataclasses import dataclass
from typing import Any

from mpiedge.comm.values import collectively
from mpiedge.errors import BadInput
from mpiedge.plan.prediction import Part, Prediction, predict
from mpiedge.run.extent import counted
from mpiedge.run.foresight import usual
from mpiedge.run.opening import Opened
from mpiedge.run.planning import cost_of, plan_run
from mpiedge.strategy.epochs import part_of
from mpiedge.strategy.strategy import Phase


@dataclass(frozen=True)
class Simulated:
    """Batches of one phase of a run."""

    strategy: str
    phase: int  # counted from 1
    phases: int
    part: Part
    found: Prediction


def simulate_run(opened: Opened, phase: int, batches: int) -> Simulated:
    """The first ``batches`` of a phase, counted from 1; called by all.

    Raises BadInput for a run in rounds, which have no schedule, and for a phase that it has not.
    """
    one = counted(opened)
    phases = plan_run(opened, one.extent)
    chosen = collectively(opened.transport, lambda: _chosen(opened, phases, phase))
    count = min(batches, chosen.batches, chosen.together)
    begin = sum(each.batches for each in phases[: phase - 1])
    cost = usual(cost_of(opened), one.filling)
    part = part_of(chosen, cost, range(begin, begin + count))
    return Simulated(opened.settings.strategy.name, phase, len(phases), part, predict(part))


def _chosen(opened: Opened, phases: tuple[Phase, ...], number: int) -> Phase:
    name = opened.settings.strategy.name
    if number > len(phases):
        count = "1 phase" if len(phases) == 1 else f"{len(phases)} phases"
        raise BadInput(f"--phase {number} is more than the {count} of this {name} run")
    phase = phases[number - 1]
    if phase.rounds:
        raise BadInput(
            f"strategy {name} works in rounds, which have no schedule to draw; mpiedge plan shows "
            f"its round"
        )
    return phase


def as_values(one: Simulated) -> dict[str, Any]:
    """What came of it as plain values."""
    return {
        "strategy": one.strategy,
        "phase": one.phase,
        "phases": one.phases,
        "batches": one.part.batches,
        "seconds": one.found.seconds,
        "ranks": [
            {
                "rank": rank,
                "busy_seconds": use.busy,
                "utilisation": use.utilisation,
                "bubble": 1 - use.utilisation,
                "memory_bytes": {**use.memory._asdict(), "total": use.memory.total},
            }
            for rank, use in one.found.ranks.items()
        ],
    }
