"""Whole runs on tiny models, with ranks as threads of this process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from mpiedge.comm.threads import ThreadTransport, run_ranks
from mpiedge.config import RunSettings, from_values
from mpiedge.run.checkpoints import begun
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.output import Output
from mpiedge.run.progress import Silent
from mpiedge.run.resuming import find, uncached
from mpiedge.run.training import train

DEVICES = ("kitchen light", "hall lamp", "bedroom heater", "front door", "old radio", "fan")
VERBS = ("turn on", "turn off", "dim", "open", "close", "what about")


@dataclass(frozen=True)
class Finished:
    """What a run left in its output directory."""

    folder: Path
    result: dict[str, Any]
    weights: dict[str, Tensor]
    losses: list[float]


def write_requests(folder: Path, rows: int = 90) -> Path:
    """Training and validation files of short requests with three labels, uneven in length."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count, shift in (("train", rows, 0), ("validation", 21, 5)):
        lines = ["text\tlabel"]
        for i in range(shift, count + shift):
            words = [VERBS[i % 6], "the", DEVICES[i * 5 % 6], *["please now"] * (i % 4)]
            lines.append(f"{' '.join(words)}\t{('on', 'off', 'other')[i % 3]}")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def settings(model: Path, data: Path, **sections: dict[str, Any]) -> RunSettings:
    """Settings of a short run: 2 epochs of 12 updates, the last of them short."""
    values: dict[str, dict[str, Any]] = {
        "model": {"name": str(model)},
        "adapter": {"r": 4},
        "task": {"name": "classification", "data": str(data), "max_length": 32},
        "strategy": {"name": "standalone"},
        "training": {
            "epochs": 2,
            "batch_size": 8,
            "micro_batch_size": 2,
            "learning_rate": 0.01,
            "threads": 1,
        },
    }
    for section, changes in sections.items():
        values[section] = {**values.get(section, {}), **changes}
    return from_values(values, "test")


def run(settings: RunSettings, ranks: int, folder: Path, *, resume: bool = False) -> Finished:
    """Train on ``ranks`` threads, or go on with what was begun, and read the result back."""

    def body(transport: ThreadTransport) -> None:
        journal = Journal(Output(folder) if transport.rank == 0 else None, Silent())
        opened = open_run(uncached(settings) if resume else settings, transport)
        resumed = find(opened, folder) if resume else None
        train(opened, begun(opened, folder, journal, resumed), resumed)
        transport.close()

    run_ranks(ranks, body, timeout=120)
    return finished(folder)


def finished(folder: Path) -> Finished:
    """What a run left behind."""
    (weights,) = (folder / "adapter").glob("*.safetensors")
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    steps = [json.loads(line) for line in lines]
    return Finished(
        folder,
        json.loads((folder / "result.json").read_text(encoding="utf-8")),
        load_file(weights),
        [step["loss"] for step in steps if "loss" in step],
    )


def difference(one: Finished, other: Finished) -> float:
    """The relative difference of all tuned weights, taken as one long vector."""
    assert one.weights.keys() == other.weights.keys()
    pairs = [(one.weights[name].double(), other.weights[name].double()) for name in one.weights]
    apart = sum(float((a - b).norm() ** 2) for a, b in pairs)
    return float((apart / sum(float(a.norm() ** 2) for a, _ in pairs)) ** 0.5)
