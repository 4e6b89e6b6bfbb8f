"""What memory holds is counted as it is, and stands in the result."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from mpiedge.run.holding import larger
from mpiedge.run.power import Sensor
from tests.runs import run, settings


def weights(folder: Path) -> int:
    (file,) = folder.glob("*.safetensors")
    return sum(tensor.nbytes for tensor in load_file(file).values())


def test_kinds_of_a_run_on_two_ranks(bert: Path, requests: Path, tmp_path: Path) -> None:
    sections: dict[str, Any] = {"training": {"epochs": 1}, "strategy": {"name": "pipeline"}}
    one = run(settings(bert, requests, **sections), 2, tmp_path / "out")
    held = [rank["memory_bytes"] for rank in one.result["ranks"]]
    tuned = sum(weight.nbytes for weight in one.weights.values())
    assert sum(each["tuned"] for each in held) == tuned
    assert sum(each["gradients"] for each in held) == tuned
    tensors = len(one.weights)  # of each AdamW keeps two moments and a count of steps
    assert sum(each["optimizer"] for each in held) == 2 * tuned + 4 * tensors
    # What the head was before training is not loaded, and the model's own is not cut.
    assert sum(each["frozen"] for each in held) == pytest.approx(weights(bert), rel=0.05)
    for each, rank in zip(held, one.result["ranks"], strict=True):
        assert 2**20 < each["program"] == rank["bare_resident_bytes"]


def test_few_bits_count_as_few(bert: Path, requests: Path, tmp_path: Path) -> None:
    frozen = []
    for bits in ("none", "int8"):
        given = settings(bert, requests, training={"max_steps": 1})
        given = replace(given, model=replace(given.model, quantize=bits))
        one = run(given, 1, tmp_path / bits)
        frozen.append(one.result["ranks"][0]["memory_bytes"]["frozen"])
    assert frozen[1] < 0.7 * frozen[0]


def test_the_larger_of_two() -> None:
    assert larger({}, {"tuned": 1}) == {"tuned": 1}
    assert larger({"tuned": 3}, {"tuned": 1, "frozen": 1}) == {"tuned": 3}


def test_energy_stands_in_the_result_once_a_machine(
    bert: Path, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpiedge.run.training.sensors", lambda: (Sensor("chip", lambda: 5.0),))
    sections: dict[str, Any] = {"training": {"max_steps": 2}, "strategy": {"name": "pipeline"}}
    first, second = run(settings(bert, requests, **sections), 2, tmp_path / "o").result["ranks"]
    assert first["energy_joules"] > 0
    assert first["energy_sensor"] == "chip"
    assert "energy_joules" not in second
