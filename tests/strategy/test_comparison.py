"""Every scheme's round beside the others."""

from math import inf

import pytest

from mpiedge.plan.bandwidth import allocate
from mpiedge.plan.schemes import SCHEMES
from mpiedge.strategy.allotment import Client, allot, everybody, problem
from mpiedge.strategy.blocks import Table
from mpiedge.strategy.comparison import FEDLORA, Comparison, compare
from mpiedge.strategy.settings import StrategySettings

EACH = Table((1.0, 1.5, 2.0), (100, 150, 200), (10, 10, 20))
FULL = Table((20.0,), (200,), (40,))
CLIENTS = (Client(1.0, 1000, 10.0), Client(0.5, 120, 40.0), Client(2.0, 1000, 5.0))


def found(**changes: object) -> Comparison:
    settings = StrategySettings(name="deft", **changes)  # type: ignore[arg-type]
    return compare(settings, EACH, FULL, CLIENTS, seed=3)


def test_every_scheme_answers_and_none_is_faster_than_the_exact_one() -> None:
    answers = {answer.scheme: answer.allotment for answer in found(slack=0.0).answers}
    assert list(answers) == [*SCHEMES, FEDLORA]
    best = answers["jbba"]
    assert best is not None
    for name in SCHEMES:
        allotment = answers[name]
        assert allotment is not None
        assert allotment.seconds >= best.seconds * (1 - 1e-9)
        assert sorted(allotment.blocks) == [0, 1, 2]
        assert sum(allotment.shares) == pytest.approx(1)


def test_the_chosen_scheme_is_what_a_run_would_do() -> None:
    for changes in ({}, {"allocation": "crunch-equal"}, {"solver": "dual"}, {"objective": "B"}):
        settings = StrategySettings(name="deft", **changes)  # type: ignore[arg-type]
        of = problem(settings, EACH, CLIENTS, frozenset())
        assert found(**changes).answer.allotment == allot(settings, of, 3)
    assert found(solver="dual").chosen == "jbba-dual"
    assert compare(StrategySettings(name="fedlora"), EACH, FULL, CLIENTS, seed=0).chosen == FEDLORA


def test_the_tables_are_those_that_are_planned_by() -> None:
    tables = found().tables
    assert tables.seconds == ((1.0, 1.5, 2.0), (2.0, 3.0, 4.0), (0.5, 0.75, 1.0))
    assert tables.upload[0] == (1.0, 1.0, 2.0)
    assert tables.fits == ((True,) * 3, (True, False, False), (True,) * 3)
    seconds = [
        [s if f else inf for s, f in zip(*row, strict=True)]
        for row in zip(tables.seconds, tables.fits, strict=True)
    ]
    _, _, time = allocate(seconds, tables.upload, 1.0)
    answer = found(slack=0.0).answer.allotment
    assert answer is not None
    assert answer.seconds == pytest.approx(time)


def test_fedlora_is_told_of_memory_and_links_that_are_too_small() -> None:
    answer = found().answers[-1]
    assert answer.allotment is None
    assert "clients [1] have less" in answer.trouble
    roomy = [Client(client.speed, 1000, client.uplink) for client in CLIENTS]
    settings = StrategySettings(name="deft")
    assert compare(settings, EACH, FULL, roomy, seed=0).answers[-1].allotment == everybody(
        FULL, roomy, frozenset()
    )
    mute = [*roomy[:2], Client(2.0, 1000, 0.0)]
    answers = compare(settings, EACH, FULL, mute, seed=0).answers
    assert answers[-1].trouble == "clients [2] have no bandwidth at all"


def test_where_no_block_fits_every_scheme_says_why_and_the_tables_stand() -> None:
    small = [Client(1.0, 120, 10.0)] * 3
    one = compare(StrategySettings(name="deft"), EACH, FULL, small, seed=0)
    assert all(answer.allotment is None for answer in one.answers)
    assert "block 1" in one.answers[0].trouble
    assert one.tables.fits == ((True, False, False),) * 3


def test_with_replicas_a_block_has_several_clients() -> None:
    settings = StrategySettings(name="deft", replicas=3)
    one = compare(settings, Table((1.0,), (100,), (10,)), FULL, CLIENTS, seed=0)
    answer = one.answer.allotment
    assert answer is not None
    assert answer.blocks == (0, 0, 0)
    assert one.tables.memory == (100,)
