"""A run that is recorded: the same result, and a row of slices for every rank."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from mpiedge.cli import work
from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.pipeline.spans import Doing, Noted
from mpiedge.run.checkpoints import begun
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.output import Output
from mpiedge.run.progress import Silent
from mpiedge.run.tracing import Row, as_trace, begin
from mpiedge.run.training import train
from tests.runs import finished, run, settings

ACTIONS = ("forward", "backward", "update", "evaluation")
STRATEGIES: dict[str, tuple[int, dict[str, Any]]] = {
    "pipeline": (2, {}),
    "data-parallel": (2, {}),
    "pac": (2, {"adapter": {"kind": "parallel", "reduction": 4}}),
    "ring": (2, {}),
    "split": (3, {"adapter": {"lowest": 3}}),
    "splitlora": (3, {}),
    "deft": (3, {}),
}


def recorded(bert: Path, requests: Path, name: str, folder: Path) -> list[dict[str, Any]]:
    ranks, sections = STRATEGIES[name]
    strategy = {"name": name, **({"layers": [3, 2]} if name == "pipeline" else {})}
    chosen = settings(bert, requests, strategy=strategy, **sections)
    assert chosen.training.epochs == 2

    def body(transport: ThreadTransport) -> None:
        journal = Journal(Output(folder) if transport.rank == 0 else None, Silent())
        opened, tracing = begin(open_run(chosen, transport))
        train(opened, begun(opened, folder, journal, None))
        tracing.finish(folder)
        transport.close()

    run_ranks(ranks, body, timeout=120)
    plain = run(chosen, ranks, folder.with_name("plain"))
    traced = finished(folder)
    assert plain.losses == traced.losses
    assert all(torch.equal(plain.weights[n], traced.weights[n]) for n in plain.weights)
    assert not (plain.folder / "trace.json").exists()
    events: list[dict[str, Any]] = json.loads((folder / "trace.json").read_text())["traceEvents"]
    return events


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_leaves_a_trace(
    name: str, bert: Path, requests: Path, tmp_path: Path
) -> None:
    events = recorded(bert, requests, name, tmp_path / "traced")
    slices = [event for event in events if event["ph"] == "X"]
    ranks = STRATEGIES[name][0]
    assert {event["tid"] for event in slices} >= set(range(ranks))
    kinds = Counter(event["cat"] for event in slices)
    assert kinds["forward"] >= kinds["backward"] > 0
    assert kinds["evaluation"] > 0
    assert kinds["wait"] > 0
    if name == "split":
        fronts = [event["tid"] for event in slices if event["cat"] == "front"]
        assert {1, 2} <= set(fronts)
    for rank in range(ranks):
        # What a server makes of its own examples, and waits, stand within its actions.
        done = [e for e in slices if e["tid"] == rank and e["cat"] in ACTIONS]
        for one, after in zip(done, done[1:], strict=False):
            assert one["ts"] + one["dur"] <= after["ts"] + 1e-3


def test_a_pass_comes_after_the_one_it_needs(bert: Path, requests: Path, tmp_path: Path) -> None:
    events = recorded(bert, requests, "pipeline", tmp_path / "traced")
    slices = {e["name"]: e for e in events if e["ph"] == "X" and e["cat"] != "wait"}
    # 24 examples, 2 in a micro-batch, 2 epochs: 24 micro-batches in 6 batches.
    for number in range(24):
        below, above = slices[f"0F{number}"], slices[f"1F{number}"]
        assert below["ts"] < above["ts"] + above["dur"]
        last, first = slices[f"1B{number}"], slices[f"0B{number}"]
        assert last["ts"] < first["ts"] + first["dur"]
        assert below["args"] == {"batch": number // 4, "layers": "0..2"}
    assert [f"U{batch}" in slices for batch in range(7)] == [True] * 6 + [False]


def test_ranks_stand_below_each_other_from_the_first_span_on() -> None:
    wait = Noted(Doing.BACKGROUND, 12.0, 13.0, number=0)
    rows = [
        Row(0, (Noted(Doing.FORWARD, 10.0, 11.0, 0, 3, 1, 0, 2),), (), 0, 0.0),
        Row(1, (Noted(Doing.UPDATE, 11.0, 11.5, 1, 1, 1), wait), ("a sum",), 4, 0.25),
    ]
    found = as_trace(rows)
    assert found["otherData"] == {"lost": 4, "clocks_within_seconds": 0.25}
    names = [event["args"]["name"] for event in found["traceEvents"] if event["ph"] == "M"]
    assert names == ["rank 0", "rank 1", "rank 1, in the background"]
    slices = [event for event in found["traceEvents"] if event["ph"] == "X"]
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in slices] == [
        ("0F3", 0, 0.0, 1e6),
        ("U1", 1, 1e6, 0.5e6),
        ("wait", 3, 2e6, 1e6),
    ]
    assert slices[2]["args"] == {"for": "a sum"}
    assert as_trace([])["traceEvents"] == []


def test_the_command_records_when_asked(
    bert: Path, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        f'[model]\nname = "{bert}"\n[task]\nname = "classification"\ndata = "{requests}"\n'
        'max_length = 32\n[strategy]\nname = "standalone"\n[training]\nmax_steps = 2\nthreads = 1\n'
    )
    work.train_as_rank(path, (), tmp_path / "out", trace=True)
    events = json.loads((tmp_path / "out" / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in events if e.get("cat") == "update"] == ["U0", "U1"]
