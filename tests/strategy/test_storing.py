"""Phases as plain values."""

import json
from dataclasses import replace

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.schedule import Policy
from mpiedge.strategy.storing import phase_from_json, phase_to_json
from mpiedge.strategy.strategy import Phase, Source, Watch

PLAN = PartitionPlan(
    (
        (Stage(0, range(1)), Stage(1, range(1, 3), frozenset({2}))),
        (Stage(1, range(1)), Stage(0, range(1, 3), frozenset({2}))),
    ),
    (0, 0, 1, 1),
    joint_update=True,
    cycle=2,
    still=2,
    apart=frozenset({2}),
)


def test_a_phase_survives_json() -> None:
    plain = Phase(PLAN, 7)
    full = replace(
        plain,
        policy=Policy(True, True, 3),
        source=Source.RECORD,
        evaluation=PLAN.batch(1),
        entrances=(1, 2),
        until=9,
        level=2,
        watch=Watch(4, 0.5),
        together=3,
        average_every=5,
        feeders=(Stage(1, range(2)), Stage(2, range(3))),
    )
    for phase in (plain, full):
        assert phase_from_json(json.loads(json.dumps(phase_to_json(phase)))) == phase
