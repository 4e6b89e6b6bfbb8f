"""All strategies of a run, ranked, and what the others lack."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.config import RunSettings
from mpiedge.run import opening
from mpiedge.run.choosing import Candidate, as_values, candidates, with_strategy
from mpiedge.run.foresight import foresee
from mpiedge.run.opener import Opener
from mpiedge.run.remedies import nearest, short_of_memory
from mpiedge.strategy.registry import STRATEGIES
from tests.runs import settings

MIB = 2**20


def opener(ranks: int) -> Opener:
    return Opener(alone(5.0), ranks=ranks)


def with_memory(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(opening, "usable_memory", lambda: size)


def chosen(bert: Path, requests: Path, **sections: dict[str, Any]) -> RunSettings:
    sections.setdefault("training", {"micro_batch_size": 4})
    return settings(bert, requests, **sections)


def test_all_are_listed_and_the_fastest_is_first(bert: Path, requests: Path) -> None:
    found = candidates(opener(2), chosen(bert, requests, adapter={"kind": "bottleneck"}))
    assert sorted(one.strategy for one in found) == sorted(STRATEGIES)
    fitting = [one for one in found if not one.trouble]
    assert [one.seconds for one in fitting] == sorted(one.seconds for one in fitting)
    assert [one.strategy for one in found if one.trouble] == ["pac"]
    assert found[0].foresight is not None
    values = json.loads(json.dumps(as_values(found)))
    assert values["best"]["strategy"] == values["strategies"][0]["strategy"]
    assert values["strategies"][-1]["seconds"] is None
    assert "adapter.kind is bottleneck" in values["strategies"][-1]["trouble"]


def test_each_is_foreseen_as_if_the_run_file_had_named_it(bert: Path, requests: Path) -> None:
    run = chosen(bert, requests, strategy={"name": "ring", "layers": [1, 2]})
    found = {one.strategy: one for one in candidates(opener(2), run)}
    for name in ("ring", "pipeline", "splitlora"):
        alike = foresee(opener(2)(with_strategy(run, name)))
        assert found[name].seconds == alike.forecast.seconds
    ring, pipeline = found["ring"].foresight, found["pipeline"].foresight
    assert ring is not None
    assert pipeline is not None
    # The layout that is given is the ring's: the pipeline's is planned.
    assert ring.phases[0].plan.layers_of(0) == (0, 1, 4)
    assert with_strategy(run, "pipeline").strategy.layers == []


def test_data_of_clients_leaves_strategies_out_that_share_it(bert: Path, requests: Path) -> None:
    run = chosen(bert, requests, strategy={"name": "ring", "clients": 3})
    left = {one.strategy: one.trouble for one in candidates(opener(2), run) if one.trouble}
    assert set(left) == {"standalone", "pipeline", "data-parallel", "pac"}
    assert "stays with its clients" in left["pipeline"]


def test_alone_is_one_of_several_devices(bert: Path, requests: Path) -> None:
    found = {one.strategy: one for one in candidates(opener(3), chosen(bert, requests))}
    foresight = found["standalone"].foresight
    assert foresight is not None
    assert len(foresight.seats) == 1


def needs(bert: Path, requests: Path, name: str) -> int:
    run = with_strategy(chosen(bert, requests), name)
    return max(seat.memory.total for seat in foresee(opener(2)(run)).seats)


def test_what_does_not_fit_says_who_how_much_and_what_would(
    bert: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Micro-batches of 4 rows do not fit a whole model; of 2 they do.
    whole = needs(bert, requests, "data-parallel")
    with_memory(monkeypatch, whole - 1)
    found = {one.strategy: one for one in candidates(opener(2), chosen(bert, requests))}
    one = found["data-parallel"]
    assert "rank 0" in one.trouble
    assert one.remedy == "training.micro_batch_size=2"
    assert not found["pipeline"].trouble
    fitting = with_strategy(
        chosen(bert, requests, training={"micro_batch_size": 2}), "data-parallel"
    )
    assert not foresee(opener(2)(fitting)).trouble


def test_fewer_bits_and_more_ranks_come_later(
    bert: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_strategy(chosen(bert, requests, training={"micro_batch_size": 1}), "pipeline")
    most = max(seat.memory.total for seat in foresee(opener(1)(run)).seats)
    with_memory(monkeypatch, most - 1)
    assert short_of_memory(opener(1), run)
    assert nearest(opener(1), run) == "model.dtype=bfloat16"
    narrow = replace(run, model=replace(run.model, dtype="bfloat16", quantize="int4"))
    with_memory(monkeypatch, 2**40)
    least = max(seat.memory.total for seat in foresee(opener(1)(narrow)).seats)
    with_memory(monkeypatch, least - 1)
    assert nearest(opener(1), narrow) == "--ranks 2"
    with_memory(monkeypatch, 1000)
    assert nearest(opener(1), run) == ""


def test_what_memory_cannot_mend_has_no_remedy(bert: Path, requests: Path) -> None:
    run = with_strategy(chosen(bert, requests), "pac")
    assert not short_of_memory(opener(2), run)


def test_ranks_that_were_started_choose_alike(bert: Path, requests: Path) -> None:
    run = chosen(bert, requests)
    found: list[tuple[Candidate, ...]] = []

    def body(transport: ThreadTransport) -> None:
        found.append(candidates(Opener(transport), run))
        transport.close()

    run_ranks(2, body, timeout=120)
    names = [[one.strategy for one in each] for each in found]
    assert names[0] == names[1]
    assert "standalone" in {one.strategy for one in found[0] if one.trouble}
