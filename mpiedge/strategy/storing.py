"""A phase as plain values: as it is broadcast, and stored with a run."""

from typing import Any

from mpiedge.plan.partition import Stage, from_json, to_json
from mpiedge.plan.schedule import Policy
from mpiedge.strategy.strategy import Phase, Rounds, Source, Watch


def phase_to_json(phase: Phase) -> dict[str, Any]:
    """A phase as plain values; its plan's stand among them."""
    return {
        "batches": phase.batches,
        "source": phase.source.value,
        **to_json(phase.plan),
        "policy": list(phase.policy),
        "evaluation": to_json(phase.evaluation) if phase.evaluation else None,
        "entrances": list(phase.entrances),
        "until": phase.until,
        "level": phase.level,
        "watch": list(phase.watch) if phase.watch else None,
        "together": phase.together,
        "average_every": phase.average_every,
        "rounds": phase.rounds.value,
        "beforehand": phase.beforehand,
        "feeders": [[stage.rank, stage.layers.stop] for stage in phase.feeders],
    }


def phase_from_json(value: dict[str, Any]) -> Phase:
    """The phase that ``phase_to_json`` wrote."""
    return Phase(
        plan=from_json(value),
        batches=value["batches"],
        policy=Policy(*value["policy"]),
        source=Source(value["source"]),
        evaluation=from_json(value["evaluation"]) if value["evaluation"] else None,
        entrances=tuple(value["entrances"]),
        until=value["until"],
        level=value["level"],
        watch=Watch(*value["watch"]) if value["watch"] else None,
        together=value["together"],
        average_every=value["average_every"],
        rounds=Rounds(value["rounds"]),
        beforehand=value.get("beforehand", 0),
        feeders=tuple(Stage(rank, range(stop)) for rank, stop in value["feeders"]),
    )
