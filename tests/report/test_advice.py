"""What a run should be looked at for."""

from dataclasses import replace
from math import nan

import pytest

from mpiedge.report.advice import advice
from mpiedge.report.story import Epoch, Rank, Scored, Step, Story

RANK = Rank(0, "host", (0, 1), busy=10.0, resident=500, sent=(), budget=1000)
GOOD = Story(
    "a",
    "finished",
    {},
    steps=tuple(Step(n, 5 - n / 10, 0.1, float(n)) for n in range(1, 21)),
    scores=(Scored(10, {"loss": 2.0}), Scored(20, {"loss": 2.05})),
    epochs=(Epoch(1, 10.0, 5), Epoch(2, 5.0, 5)),
    ranks=(RANK, replace(RANK, number=1, busy=19.0)),
    facts={"caching": {}, "rounds": {"predicted_seconds": 2.0, "measured_seconds": 2.9}},
)


def test_a_good_run_needs_none() -> None:
    assert advice(GOOD) == ()
    assert advice(Story("a", "finished", {}, ranks=(RANK,))) == ()


@pytest.mark.parametrize(
    ("changes", "seen", "change"),
    [
        ({"ranks": (), "planned": 40}, "20 of 40 updates", "--resume latest"),
        ({"steps": (*GOOD.steps, Step(21, nan, 0.1, 21.0))}, "update 21", "learning_rate"),
        ({"steps": GOOD.steps[::-1]}, "did not fall: 3.15 .* 4.75", "learning_rate"),
        ({"scores": (*GOOD.scores, Scored(30, {"loss": 2.2}))}, "update 10 .2. and", "epochs"),
        ({"ranks": (replace(RANK, resident=901),)}, "901 B of the 1000 B", "micro_batch_size"),
        ({"ranks": (RANK, replace(RANK, number=1, busy=21.0))}, "Rank 1 .* 21 s", "profile"),
        ({"facts": {"rounds": {"predicted_seconds": 1, "measured_seconds": 2}}}, "2 s", "profile"),
        ({"epochs": (Epoch(1, 5.0, 5), Epoch(2, 6.0, 5))}, "saved no time", "cache.folder"),
    ],
)
def test_each_thing_is_said_alone(changes: dict[str, object], seen: str, change: str) -> None:
    import re

    (found,) = advice(replace(GOOD, **changes))  # type: ignore[arg-type]
    assert re.search(seen, found.seen), found
    assert change in found.change
