"""Cluster profiles: what is read of them, and what cannot be used."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w

from mpiedge.comm.threads import ThreadTransport, alone, run_ranks
from mpiedge.config import parsed
from mpiedge.errors import BadInput
from mpiedge.plan.cluster import Pace, Passes
from mpiedge.plan.cost import Link
from mpiedge.run import planning
from mpiedge.run.cluster_file import cluster_of
from mpiedge.run.foresight import foresee
from mpiedge.run.imagined import imagined
from mpiedge.run.opening import open_run
from tests.runs import settings

HOSTFILES = Path(__file__).parents[2] / "hostfiles"
TIMES = {"forward": [1e-4, 1e-6], "backward": [2e-4, 2e-6]}
KINDS = {"embedding": TIMES, "block": TIMES, "head": TIMES}
MODEL = {"name": "bert", "layers": 5, "width": 32, "dtype": "float32", "adapter": "lora"}
SLOWER = {kind: {name: [2 * x for x in pair] for name, pair in TIMES.items()} for kind in KINDS}
PAIR: dict[str, Any] = {
    "model": MODEL,
    "device": [
        {"name": "a", "memory": 1.0, "layers": KINDS},
        {"name": "b", "memory": 2.0, "layers": SLOWER},
    ],
    "link": [{"ranks": [1, 0], "rate": 80.0, "delay": 2.0}],
}


def changed(**sections: Any) -> dict[str, Any]:
    return {key: value for key, value in {**PAIR, **sections}.items() if value is not None}


def test_devices_links_and_measured_layers() -> None:
    found = cluster_of(PAIR, "pair.toml")
    assert [one.memory for one in found.members] == [2**30, 2**31]
    assert found.links[0][1] == found.links[1][0] == Link(1e7, 2e-3)
    assert found.model is not None
    assert found.members[0].layers == dict.fromkeys(
        KINDS, Passes(Pace(1e-4, 1e-6), Pace(2e-4, 2e-6))
    )


@pytest.mark.parametrize(("name", "count"), [("nano-8", 8), ("mixed-4", 4), ("wifi-4", 4)])
def test_a_testbeds_file_is_a_profile(name: str, count: int) -> None:
    found = cluster_of(parsed(HOSTFILES / f"{name}.toml"), name)
    assert len(found.members) == count
    assert found.members[0].gflops == 135
    assert found.members[0].memory == 4 * 2**30
    link = found.links[0][1]
    assert link == (Link(1e8 / 8, 5e-3) if name == "wifi-4" else Link(1e9 / 8, 0.0))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (changed(link=None), r"ranks 0 and 1 are linked; add a \[\[link\]\] with ranks = \[0, 1\]"),
        (changed(link=[{"ranks": [0, 2], "rate": 1.0}]), r"has ranks \[0, 2\]; name two of the 2"),
        (changed(link=[{"ranks": [1, 1], "rate": 1.0}]), r"has ranks \[1, 1\]"),
        (changed(link=[{"ranks": [0, 1], "rate": 0.0}]), "rate"),
        (changed(model=None), "has gflops 0 and no measured layers"),
        (
            changed(device=[PAIR["device"][0], {"name": "c", "gflops": 1.0}]),
            "has no .device.layers",
        ),
        (changed(device=[]), r"write a section \[\[device\]\]"),
        (changed(device={"name": "a"}), r"write device as sections \[\[device\]\]"),
        (changed(devices=[]), "devices is unknown"),
        (changed(device=[{"layers": {"block": {"forward": [1.0]}}}]), "layers.block is"),
        (changed(device=[{"layers": {"block": 3}}]), "layers.block is 3"),
        (changed(device=[{"layers": {"block": {**TIMES, "update": -1}}}]), "layers.block is"),
        (changed(device=[{"layers": {"block": {**TIMES, "replay": 1}}}]), "layers.block is"),
        (changed(device=[{"layers": {"block": {**TIMES, "other": 1}}}]), "layers.block is"),
        (changed(device=[{"layers": {"blocks": TIMES}}]), "layers.blocks is"),
        (
            changed(device=[{"layers": {"block": {"forward": [0, -1], "backward": [0, 0]}}}]),
            "0 or more",
        ),
        (
            changed(device=[{"layers": {"block": {"forward": [0, 0], "backward": [0, 0]}}}]),
            "takes no time",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as bad:
        cluster_of(values, "pair.toml")
    assert "\n" not in str(bad.value)
    assert str(bad.value).startswith("pair.toml")


def written(folder: Path, values: dict[str, Any]) -> str:
    path = folder / "pair.toml"
    path.write_text(tomli_w.dumps(values), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("values", "strategy", "complaint"),
    [
        (PAIR, {"speeds": [1.0, 2.0]}, "strategy.speeds and strategy.cluster"),
        (changed(model={**MODEL, "layers": 14}), {}, "is a profile of bert .14 layers"),
        (changed(model={**MODEL, "adapter": "full"}), {}, "profile it with this run file"),
        (
            changed(device=[{"layers": {"block": TIMES, "head": TIMES}}], link=None),
            {},
            "no times of the kind of layer embedding",
        ),
    ],
)
def test_a_profile_that_is_not_this_runs(
    values: dict[str, Any],
    strategy: dict[str, Any],
    complaint: str,
    bert: Path,
    requests: Path,
    tmp_path: Path,
) -> None:
    chosen = {"name": "pipeline", "cluster": written(tmp_path, values), **strategy}
    with pytest.raises(BadInput, match=complaint):
        open_run(settings(bert, requests, strategy=chosen), alone(5.0))


def test_a_plan_is_made_for_the_devices_of_the_profile(
    bert: Path, requests: Path, tmp_path: Path
) -> None:
    chosen = {"name": "data-parallel", "cluster": written(tmp_path, PAIR)}
    opened = open_run(settings(bert, requests, strategy=chosen), alone(5.0))
    one = foresee(imagined(opened, 0))
    assert [seat.host for seat in one.seats] == ["a", "b"]
    assert [seat.device.memory for seat in one.seats] == [2**30, 2**31]
    assert [seat.device.speed for seat in one.seats] == pytest.approx([1.0, 0.5])
    # Of 4 micro-batches the device that is twice as fast gets 3.
    assert [list(one.phases[0].plan.assignment).count(rank) for rank in (0, 1)] == [3, 1]
    with pytest.raises(BadInput, match="--ranks 3 is more than the 2 devices"):
        imagined(opened, 3)
    assert len(imagined(opened, 1).hosts) == 1


def test_ranks_that_run_are_those_of_the_profile(
    bert: Path, requests: Path, tmp_path: Path
) -> None:
    name = written(tmp_path, PAIR)
    chosen = settings(bert, requests, strategy={"name": "pipeline", "cluster": name})
    elsewhere = changed(device=[{**PAIR["device"][0], "host": "pi-1"}, PAIR["device"][1]])
    (tmp_path / "other").mkdir()
    other = settings(
        bert,
        requests,
        strategy={"name": "pipeline", "cluster": written(tmp_path / "other", elsewhere)},
    )
    said: list[str] = []

    def body(transport: ThreadTransport) -> None:
        if transport.size == 2:
            speeds = [d.speed for d in planning.cost_of(open_run(chosen, transport)).devices]
            assert speeds == pytest.approx([1.0, 0.5])
        for run in (chosen, other) if transport.size != 2 else (other,):
            with pytest.raises(BadInput) as bad:
                planning.cost_of(open_run(run, transport))
            said.append(str(bad.value))
        transport.close()

    run_ranks(2, body, timeout=30)
    assert all("device 0 was measured on pi-1, but rank 0 runs on" in line for line in said)
    said.clear()
    run_ranks(3, body, timeout=30)
    assert all("describes 2 devices, but there are 3 ranks" in line for line in said)
