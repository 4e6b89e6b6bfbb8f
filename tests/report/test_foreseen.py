"""The timeline that a stored plan implies."""

from dataclasses import replace

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.report.foreseen import foreseen
from mpiedge.report.story import Bar
from mpiedge.strategy.strategy import Phase, Rounds

LOW, HIGH = Stage(0, range(2), frozenset({1})), Stage(1, range(2, 5), frozenset({2, 3, 4}))
PHASE = Phase(PartitionPlan(((LOW, HIGH),), (0,)), batches=1)


def test_layers_count_one_forward_and_two_backward_down_to_the_lowest_tuned() -> None:
    assert foreseen(PHASE) == (
        Bar(0, "forward", 0.0, 2.0),
        Bar(1, "forward", 2.0, 3.0),
        Bar(1, "backward", 5.0, 6.0),
        Bar(0, "backward", 11.0, 2.0),
    )


def test_three_batches_at_most() -> None:
    bars = foreseen(replace(PHASE, batches=50))
    assert sum(bar.what == "forward" and bar.rank == 0 for bar in bars) == 3


def test_what_cannot_be_drawn_is_not() -> None:
    assert foreseen(replace(PHASE, batches=0)) == ()
    assert foreseen(replace(PHASE, rounds=Rounds.GRADIENTS)) == ()
    many = PartitionPlan(((LOW, HIGH),), (0,) * 3000)
    assert foreseen(replace(PHASE, plan=many)) == ()
