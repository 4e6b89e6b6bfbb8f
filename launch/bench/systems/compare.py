"""PAC and the systems that its paper compares with, on eight emulated Jetson Nanos.

sudo python launch/bench/systems/compare.py [--examples 64] [--only SYSTEM ...] [--quick]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from inputs import MRPC_EXAMPLES, set_up
from nanos import on_testbed, testbed
from whole import train

from mpiedge.testbed import cluster

HERE = Path(__file__).parent
CLUSTER = HERE.parents[2] / "hostfiles" / "nano-8.toml"
EPOCHS = 3
DEVICES = 8
PLANS = {"Standalone": "standalone", "Eco-FL": "pipeline", "EDDL": "data-parallel"}
TUNED = {"full": "full", "Adapters": "bottleneck", "LoRA": "lora"}
SYSTEMS = {f"{plan}, {tuned}": (plan, tuned) for plan in PLANS for tuned in TUNED} | {
    "PAC": ("pac", "parallel")
}


def settings(setup, system, epochs, sizes):
    """A run of a system: equal for all but for what it trains and how it is spread."""
    plan, tuned = SYSTEMS[system]
    sizes = dict(zip(("batch_size", "micro_batch_size"), sizes, strict=True))
    return setup.settings(TUNED.get(tuned, tuned), PLANS.get(plan, plan), epochs=epochs, **sizes)


def on_nanos(setup, system, sizes):
    """What became of a system: seconds an example in an epoch, memory, or what it ended with."""
    epochs = EPOCHS if system == "PAC" else 1
    name = system.lower().replace(", ", "-")
    ranks = 1 if system.startswith("Standalone") else DEVICES
    return on_testbed(setup, name, settings(setup, system, epochs, sizes), CLUSTER, ranks)


def whole(found):
    """Seconds an example of MRPC for all epochs; what grows with the examples is extrapolated."""
    times = 1 if len(found["epochs"]) == EPOCHS else EPOCHS
    over = sum(found["over"]) / MRPC_EXAMPLES
    return times * (sum(found["epochs"]) + over) + found["between"]


def ratios(found, full):
    """What is asked for: name, value, limit; None where a side is missing."""
    rows = []
    pac, lora = found.get("PAC", {}), found.get("Standalone, LoRA", {})
    if "epochs" in pac and "epochs" in lora:
        rows.append(("PAC over Standalone LoRA, 3 epochs", whole(lora) / whole(pac), ">=", 20.0))
    others = [whole(each) for name, each in found.items() if "epochs" in each and name != "PAC"]
    if "epochs" in pac and others:
        rows.append(("PAC over the fastest of the others", min(others) / whole(pac), "", 0.0))
    if "peak_bytes" in pac and full:
        rows.append(("PAC's peak memory over full's", pac["peak_bytes"] / full, "<=", 0.1))
    return rows


def row(name, found, slowdown):
    """A line of the table."""
    if "epochs" not in found:
        return f"| {name} | out of memory |  |  |" if out_of_memory(found) else f"| {name} | ? |"
    seconds = whole(found)
    hours = seconds * MRPC_EXAMPLES / slowdown / 3600
    return f"| {name} | {seconds:.2f} | {hours:.2f} | {found['peak_bytes'] / 2**20:.0f} |"


def out_of_memory(found):
    """Whether that is what ended a run, or kept it from starting."""
    return any("memory" in line or "MiB free" in line for line in found["said"])


def main():
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("bert-base", "t5-base"), default="t5-base")
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--batch", type=int, nargs=2, default=(16, 2), help="and of a micro-batch")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--quick", action="store_true", help="a tiny model: is all in order?")
    options = parser.parse_args()
    slowdown = cluster.read(CLUSTER).scale.slowdown
    found = {}
    with tempfile.TemporaryDirectory(prefix="systems-") as folder:
        setup = set_up(Path(folder), options.model, options.examples, options.quick)
        alone = train(setup, "alone", settings(setup, "Standalone, full", 1, (16, 2)))
        full = alone["ranks"][0]["peak_resident_bytes"]
        print(f"full fine-tuning outside of the testbed: {full >> 20} MiB at its peak", flush=True)
        with testbed(CLUSTER):
            for system in options.only:
                found[system] = on_nanos(setup, system, options.batch)
                print(json.dumps({system: found[system]}), flush=True)
    if not options.quick:
        found = keep(options, setup, full, found)
    print("| system | seconds an example, 3 epochs | hours on Nanos, MRPC | peak, MiB |")
    print("|---|---|---|---|")
    for name in filter(found.get, SYSTEMS):
        print(row(name, found[name], slowdown))
    for name, value, relation, limit in ratios(found, full):
        kept = value >= limit if relation == ">=" else value <= limit
        verdict = f"{relation} {limit:g}  {'pass' if kept else 'FAIL'}" if relation else ""
        print(f"{name:45} {value:8.3f}  {verdict}")


def keep(options, setup, full, found):
    """Write what was found beside this file; systems that were not run stay.  All there are."""
    path = HERE / "results.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    every = {**known.get(options.model, {}).get("systems", {}), **found}
    known[options.model] = {
        "examples": setup.examples,
        "tokens": round(setup.lengths, 1),
        "mrpc": setup.real,
        "full_peak_bytes": full,
        "systems": every,
        "ratios": {name: round(value, 3) for name, value, *_ in ratios(every, full)},
    }
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return every


if __name__ == "__main__":
    main()
