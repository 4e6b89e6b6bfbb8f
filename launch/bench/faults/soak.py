"""Small trains in a loop, in one process: do memory, open files and threads stay where they are?

    python launch/bench/faults/soak.py [--minutes 120] [--output FILE]

Every strategy in turn, on two or three ranks that are threads of this process, so that whatever a
run leaves behind stays.  After each round of all strategies: resident memory, open files, threads,
and files left in the folder.  The slope is a straight line's through the second half.
"""

import gc
import json
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import psutil
import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from mpiedge.comm.threads import run_ranks
from mpiedge.config import settled
from mpiedge.run.job import Job, train
from mpiedge.run.progress import Silent
from tests.models import save_tiny
from tests.runs import write_requests

HERE = Path(__file__).parent
STRATEGIES = {
    "standalone": 1,
    "pipeline": 3,
    "data-parallel": 2,
    "pac": 2,
    "ring": 3,
    "split": 3,
    "splitlora": 3,
    "deft": 3,
    "fedlora": 3,
}


def settings(strategy, folder):
    """A train of a few updates."""
    values = {
        "model": {"name": str(folder / "model")},
        "adapter": {"kind": "parallel" if strategy == "pac" else "lora"},
        "task": {"name": "classification", "data": str(folder / "data"), "max_length": 16},
        "strategy": {"name": strategy},
        "training": {"epochs": 2, "batch_size": 8, "micro_batch_size": 2, "threads": 1},
        "checkpoint": {"every": 2, "seconds": 0.0},
        "cache": {"folder": str(folder / "cache")},
    }
    return settled(values, (), strategy)


def once(strategy, ranks, folder):
    """One train on so many ranks."""
    chosen = settings(strategy, folder)

    def body(transport):
        train(chosen, transport, Job(folder / strategy, folder), Silent())
        transport.close()

    run_ranks(ranks, body, timeout=60)


def noted(folder, began):
    """What this process holds now."""
    gc.collect()
    process = psutil.Process()
    return {
        "minutes": round((time.monotonic() - began) / 60, 2),
        "resident_mib": round(process.memory_info().rss / 2**20, 2),
        "files": process.num_fds(),
        "threads": process.num_threads(),
        "left": sum(path.is_file() for path in folder.rglob("*")),
    }


def slopes(rows):
    """How fast each number grows in an hour, over the second half."""
    half = rows[len(rows) // 2 :]
    hours = [row["minutes"] / 60 for row in half]
    names = ("resident_mib", "files", "threads", "left")
    return {n: round(float(np.polyfit(hours, [row[n] for row in half], 1)[0]), 3) for n in names}


@click.command()
@click.option("--minutes", type=float, default=120.0)
@click.option("--output", type=click.Path(path_type=Path), default=HERE / "soak.json")
def main(minutes, output):
    """Train in a loop, and say what grew."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_tiny("bert", folder / "model", blocks=3)
        write_requests(folder / "data", rows=24)
        rows, began = [], time.monotonic()
        while time.monotonic() - began < 60 * minutes or len(rows) < 4:
            for strategy, ranks in STRATEGIES.items():
                once(strategy, ranks, folder)
            rows.append(noted(folder, began))
            print(json.dumps(rows[-1]), flush=True)
    found = {"runs": len(rows) * len(STRATEGIES), "an_hour": slopes(rows), "rows": rows}
    print(json.dumps({name: found[name] for name in ("runs", "an_hour")}))
    output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
