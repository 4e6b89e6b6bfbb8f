"""A timeline as a Chrome trace."""

import json

import pytest

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.partition import PartitionPlan, Stage
from mpiedge.plan.prediction import Part, kept_over_time, predict
from mpiedge.plan.trace import trace

LAYER = LayerProfile(1.0, 2.0, 100, 10, 7, boundary=80)
COST = CostModel((LAYER,) * 4, (Device(1.0, 999), Device(0.5, 999)), Link(1000.0, 0.0))
ROUTE = (Stage(0, range(2), frozenset({1})), Stage(1, range(2, 4), frozenset({2, 3})))
PART = Part(PartitionPlan((ROUTE,), (0, 0, 0)), COST, batches=2)
FOUND = predict(PART)


def test_every_span_is_a_slice_in_its_ranks_row() -> None:
    events = json.loads(json.dumps(trace(PART, FOUND)))["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == len(FOUND.timeline.spans)
    for rank in (0, 1):
        mine = [event for event in slices if event["tid"] == rank]
        busy = sum(event["dur"] for event in mine) / 1e6
        assert busy == pytest.approx(FOUND.ranks[rank].busy)
        ends = [event["ts"] + event["dur"] for event in mine]
        starts = [event["ts"] for event in mine]
        assert all(end <= start + 1e-6 for end, start in zip(ends, starts[1:], strict=False))
    assert max(e["ts"] + e["dur"] for e in slices) / 1e6 == pytest.approx(FOUND.seconds)
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert names == ["rank 0", "rank 1"]


def test_a_slice_says_what_it_computes() -> None:
    events = {e["name"]: e for e in trace(PART, FOUND)["traceEvents"] if e["ph"] == "X"}
    assert events["1F4"]["args"] == {"batch": 1, "micro-batch": 1, "layers": "2..3"}
    assert events["1F4"]["cat"] == "forward"
    assert events["U1"]["args"] == {"batch": 1}


def test_what_is_kept_rises_and_falls_to_nothing() -> None:
    for rank, spans in FOUND.timeline.by_rank.items():
        steps = list(kept_over_time(PART, spans))
        assert steps[-1][1] == 0
        assert max(held for _, held in steps) == FOUND.ranks[rank].memory.in_flight
        assert [when for when, _ in steps] == sorted(when for when, _ in steps)
    counters = [e for e in trace(PART, FOUND)["traceEvents"] if e["ph"] == "C"]
    assert {event["name"] for event in counters} == {"kept, rank 0", "kept, rank 1"}
    assert all(event["args"]["bytes"] >= 0 for event in counters)
