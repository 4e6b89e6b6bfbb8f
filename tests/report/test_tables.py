"""Tables: what was run, epochs, memory, plans, settings."""

from dataclasses import replace

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.report.story import Epoch, Rank, Scored, Sent, Step, Story
from mpiedge.report.tables import epochs, memory, plan, settings, summary
from mpiedge.strategy.strategy import Phase

RANK = Rank(0, "desk", (0, 1), 1.0, 2**20, (Sent("loss", 1, 512),), budget=2**21)
DONE = Story(
    "done",
    "finished",
    {"model": {"name": "m"}, "task": {"name": "t", "data": ""}, "strategy": {"name": "pac"}},
    steps=(Step(1, 2.0, 0.1, 1.0), Step(2, 1.0, 0.1, 2.5)),
    epochs=(Epoch(1, 2.0, 10), Epoch(2, 0.0, 10)),
    metrics={"accuracy": 0.5},
    ranks=(RANK, replace(RANK, number=1, resident=2**22, budget=0, stored=2048)),
    facts={"tuned_weights": 12345, "mpiedge": "0.1.0"},
    planned=2,
)
CUT = Story("cut", "stopped", {}, scores=(Scored(1, {"f1": 0.25}),), planned=7)


def test_results_side_by_side_with_a_dash_for_what_one_lacks() -> None:
    (table,) = summary([DONE, CUT], ["A: done", "B: cut"])
    assert table.head == ("", "A: done", "B: cut")
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["task"] == ("t", "")
    assert rows["state"] == ("finished", "stopped")
    assert rows["updates"] == ("2 of 2", "0 of 7")
    assert rows["validation accuracy"] == ("0.5000", "–")
    assert rows["validation f1"] == ("–", "0.2500")
    assert rows["training took"] == ("2 s", "0 s")
    assert rows["tuned weights"] == ("12,345", "–")
    assert rows["sent by all ranks"] == ("1 KiB", "–")
    assert rows["most memory of a rank"] == ("4 MiB", "–")
    names = list(rows)
    assert names.index("updates") < names.index("validation f1") < names.index("ranks")


def test_a_run_alone_is_called_by_its_name() -> None:
    (table,) = summary([DONE], [""])
    assert table.head == ("", "done")


def test_epochs_of_runs_of_different_length() -> None:
    short = replace(DONE, epochs=DONE.epochs[:1])
    table = epochs([DONE, short], ["A", "B"])
    assert table.head == ("epoch", "A seconds", "A examples/s", "B seconds", "B examples/s")
    assert table.rows == (("1", "2", "5", "2", "5"), ("2", "0", "–", "–", "–"))
    assert epochs([short], [""]).head == ("epoch", "seconds", "examples/s")


def test_memory_where_the_budget_is_known_and_where_not() -> None:
    assert memory(DONE).rows == (
        ("0", "desk", "1 MiB", "2 MiB", "50%", "–"),
        ("1", "desk", "4 MiB", "not known", "–", "2 KiB"),
    )


def test_phases_that_look_alike_share_a_row() -> None:
    low, high = Stage(0, range(2), frozenset({1})), Stage(1, range(2, 5), frozenset({4}))
    one = Phase(PartitionPlan(((low, high),), (0, 0)), batches=3)
    alone = Phase(PartitionPlan(((Stage(0, range(5)),),), (0,)), batches=3)
    story = replace(DONE, phases=(one, one, replace(one, batches=0), alone))
    assert plan(story).rows == (
        ("1..2", "0", "0..1", "1", "2 of 2", "compute"),
        ("1..2", "1", "2..4", "4", "2 of 2", "compute"),
        ("4", "0", "0..4", "none", "1 of 1", "compute"),
    )


def test_every_setting_has_a_row() -> None:
    assert ("model.name", "m") in settings(DONE).rows
    assert len(settings(DONE).rows) == 4
