"""What stands on the page and what is left out."""

from dataclasses import replace

from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.report.charts import letter, metrics
from mpiedge.report.page import pictures
from mpiedge.report.sections import sections, titles
from mpiedge.report.story import Bar, Rank, Scored, Sent, Step, Story
from mpiedge.strategy.strategy import Phase

RANK = Rank(0, "desk", (0,), 9.0, 2**20, (Sent("loss", 1, 5),), links={1: 5})
PLANS = [PartitionPlan(((Stage(0, range(n), frozenset({0})),),), (0,)) for n in range(1, 7)]
FULL = Story(
    "full",
    "finished",
    {},
    steps=(Step(1, 1.0, 0.1, 1.0),),
    scores=(Scored(1, {"a-b": 1.0, "a_b": 2.0, "nan": float("nan")}),),
    ranks=(RANK, replace(RANK, number=1)),
    phases=tuple(Phase(plan, batches=1) for plan in (PLANS[0], *PLANS)),
    bars=(Bar(0, "forward", 0.0, 1.0, 0),),
)


def test_empty_sections_are_left_out() -> None:
    assert [each.name for each in sections([Story("a", "", {})])] == ["result", "look", "settings"]
    assert [each.name for each in sections([FULL])] == [
        "result",
        "curves",
        "memory",
        "ledger",
        "plan",
        "timeline",
        "settings",
    ]


def test_a_section_holds_only_the_runs_that_have_something_for_it() -> None:
    found = {each.name: each for each in sections([FULL, Story("a", "", {})])}
    assert [part.run for part in found["memory"].parts] == ["A: full"]
    assert [part.run for part in found["look"].parts] == ["B: a"]
    assert [part.run for part in found["settings"].parts] == ["A: full", "B: a"]


def test_no_two_pictures_have_one_name() -> None:
    names = [picture.name for picture in pictures(sections([FULL, FULL]))]
    assert len(names) == len(set(names)) > 10


def test_three_phases_that_differ_are_drawn() -> None:
    names = [each.name for each in pictures(sections([FULL])) if each.name.startswith("foreseen")]
    assert names == ["foreseen-A-1", "foreseen-A-3", "foreseen-A-4"]


def test_metrics_that_were_never_a_number_have_no_picture() -> None:
    assert [each.caption for each in metrics([FULL])] == [
        "a-b on validation examples",
        "a_b on validation examples",
    ]


def test_what_runs_are_called() -> None:
    assert titles([FULL]) == [""]
    assert titles([FULL, FULL]) == ["A: full", "B: full"]
    assert [letter(n) for n in (0, 25, 26, 53)] == ["A", "Z", "A1", "B2"]
