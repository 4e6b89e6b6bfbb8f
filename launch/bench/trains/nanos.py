"""Whole runs on emulated devices: their time, their memory, or what they ended with."""

import json
import subprocess
import sys
from contextlib import contextmanager
from statistics import median

from processes import ENVIRONMENT

from mpiedge.config import to_toml

LIMIT = 1500  # seconds for one run
LAST = 5  # lines that are kept of a run that ended without a word of its own


@contextmanager
def testbed(cluster):
    """The devices of a cluster file, for as long as they are needed."""
    _testbed("up", str(cluster))
    try:
        yield
    finally:
        _testbed("down", cluster.stem)


def on_testbed(setup, name, settings, cluster, ranks):
    """Seconds an example in each epoch and the highest memory of a device, or what was said.

    ``over``: what each epoch took beside, in seconds, which does not grow with the examples;
    ``between``: what lay between the phases, an example.
    """
    output = setup.folder / name
    done = _run(setup, name, settings, cluster, ("-n", str(ranks), "--", "train"), output)
    if done.returncode:
        lines = done.stderr.splitlines()
        said = [line for line in lines if line.startswith("mpiedge")] or lines[-LAST:]
        return {"exit_code": done.returncode, "said": said}
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    each = steady(output, settings.training.batch_size)
    spent = [epoch["seconds"] for epoch in result["epochs"]]
    return {
        "epochs": [round(seconds, 5) for seconds in each],
        "over": [round(a - setup.examples * b, 3) for a, b in zip(spent, each, strict=True)],
        "between": round(result.get("caching", {}).get("seconds", 0.0) / setup.examples, 4),
        "peak_bytes": max(rank["peak_resident_bytes"] for rank in result["ranks"]),
        "plan": [[stage["layers"] for stage in route] for route in result["plan"][0]["routes"][:1]],
        "round": result.get("rounds", {}).get("measured_seconds"),
    }


def profiled(setup, name, settings, cluster):
    """The profile of a cluster for the model of a run."""
    output = setup.folder / f"{name}-cluster.toml"
    done = _run(setup, name, settings, cluster, ("--", "profile"), output)
    return output if done.returncode == 0 else sys.exit(done.stderr[-2000:])


def _run(setup, name, settings, cluster, words, output):
    run = setup.folder / f"{name}.toml"
    run.write_text(to_toml(settings), encoding="utf-8")
    to = "--output" if words[-1] == "profile" else "--output-dir"
    return subprocess.run(
        [
            *(sys.executable, "-m", "mpiedge", "testbed", "run", str(cluster)),
            *(*words, str(run), to, str(output)),
        ],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )


def steady(output, batch):
    """Seconds an example in each epoch, between its updates: the first begins with what is new."""
    lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    epochs = {}
    for row in map(json.loads, lines):
        if "learning_rate" in row:
            epochs.setdefault(row["epoch"], []).append(row["seconds"])
    pairs = [zip(ends, ends[1:], strict=False) for _, ends in sorted(epochs.items())]
    return [median(late - soon for soon, late in each) / batch for each in pairs]


def _testbed(*words):
    subprocess.run((sys.executable, "-m", "mpiedge", "testbed", *words), check=True)
