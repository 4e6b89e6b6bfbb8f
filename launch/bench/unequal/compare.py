"""Ring, split and deft against what their papers compare them with, on four unequal devices.

sudo python launch/bench/unequal/compare.py [--examples 48] [--only PART ...] [--quick]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from inputs import set_up
from nanos import on_testbed, profiled, testbed

HERE = Path(__file__).parent
CLUSTER = HERE / "orin-first.toml"
EPOCHS, BLOCKS, DEVICES = 3, 12, 4
SIZES = {"batch_size": 8, "micro_batch_size": 2}
RING = {"name": "ring", "clients": DEVICES}
DEFT = {"name": "deft", "pacing": True}
PARTS = {
    "ring": {
        "ring": {**RING, "step": 1, "interval": 1},
        "ring, all adapters": {**RING, "depth": BLOCKS},
        "naive ring": {**RING, "depth": BLOCKS, "run_ahead": False},
        "pipeline": {"name": "pipeline"},
        "one device": {"name": "standalone"},
    },
    "split": {
        "split": {"name": "split"},
        "splitlora": {"name": "splitlora"},
        "fedlora": {"name": "fedlora", "local_steps": 1},
        "one device": {"name": "standalone"},
    },
    "deft": {
        "deft": DEFT,
        "deft as published": {**DEFT, "slack": 0.0},
        "equal bandwidth": {**DEFT, "allocation": "crunch-equal"},
        "random blocks": {**DEFT, "allocation": "random-equal"},
        "fedlora": {"name": "fedlora", "local_steps": 1, "pacing": True},
    },
}
CHANGING = ("ring", "split")  # whose epochs differ


def settings(setup, part, side, profile):
    """A run of one side; planned by the profile, but on one device."""
    strategy = dict(PARTS[part][side])
    if side != "one device":
        strategy["cluster"] = str(profile)
    adapter = "bottleneck" if part == "ring" else "lora"
    epochs = EPOCHS if side in CHANGING or part == "deft" else 1
    return setup.settings(adapter, strategy, epochs=epochs, **SIZES)


def summed(part, found):
    """Seconds an example for all epochs, or of a round."""
    if "epochs" not in found:
        return None
    if found["round"]:  # of a batch of every client; the server has none
        each = EPOCHS / (SIZES["batch_size"] * (DEVICES - 1))
        return found["round"] * (1 if part == "deft" else each)
    times = 1 if len(found["epochs"]) == EPOCHS else EPOCHS
    return times * sum(found["epochs"]) + found["between"]


def compared(setup, part):
    """What became of every side of a part."""
    first = next(iter(PARTS[part]))
    asked = settings(setup, part, "one device" if part != "deft" else first, "")
    profile = profiled(setup, f"{part}-profile", asked, CLUSTER)
    for side in PARTS[part]:
        name = f"{part}-{side}".replace(", ", "-").replace(" ", "-")
        ranks = 1 if side == "one device" else DEVICES
        given = settings(setup, part, side, profile)
        found = on_testbed(setup, name, given, CLUSTER, ranks)
        found["seconds"] = summed(part, found)
        print(json.dumps({part: {side: found}}), flush=True)
        yield side, found


def shown(part, found):
    """A table of a part, every side against the first."""
    rows = {side: each["seconds"] for side, each in found.items()}
    first = rows[next(iter(PARTS[part]))]
    for side, seconds in rows.items():
        if seconds is None:
            yield f"| {side} | {' '.join(found[side]['said'])} |  |  |"
        else:
            peak = found[side]["peak_bytes"] / 2**20
            ratio = f"{seconds / first:.2f}" if first else ""
            yield f"| {side} | {seconds:.2f} | {ratio} | {peak:.0f} |"


def main():
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=48)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="a tiny model: is all in order?")
    options = parser.parse_args()
    path = HERE / "results.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for part in options.only:
        with tempfile.TemporaryDirectory(prefix="unequal-") as folder:
            setup = set_up(Path(folder), "bert-base", options.examples, options.quick)
            with testbed(CLUSTER):
                found = dict(compared(setup, part))
        print(f"| {part} | seconds | over {next(iter(PARTS[part]))}'s | peak, MiB |")
        print("|---|---|---|---|")
        print(*shown(part, found), sep="\n", flush=True)
        if not options.quick:
            known[part] = {"examples": setup.examples, "mrpc": setup.real, "sides": found}
            path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
