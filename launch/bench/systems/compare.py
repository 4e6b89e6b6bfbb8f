"""PAC and the systems that its paper compares with, on eight emulated Jetson Nanos.

sudo python launch/bench/systems/compare.py [--batch 16] [--micro-batches 2] [--examples 64]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from inputs import MRPC_EXAMPLES, set_up
from judged import Judged
from nanos import on_testbed, profiled, testbed
from processes import ENVIRONMENT
from whole import train

from mpiedge.testbed import cluster

HERE = Path(__file__).parent
CLUSTER = HERE.parents[2] / "hostfiles" / "nano-8.toml"
EPOCHS = 3
DEVICES = 8
PLANS = {"Standalone": "standalone", "Eco-FL": "pipeline", "EDDL": "data-parallel"}
TUNED = {"full": "full", "Adapters": "bottleneck", "LoRA": "lora"}
PACS = ("PAC", "PAC, bfloat16 sums", "PAC for memory", "PAC for memory, int8")
SYSTEMS = {f"{plan}, {tuned}": (plan, tuned) for plan in PLANS for tuned in TUNED}
SYSTEMS |= dict.fromkeys(PACS, ("pac", "parallel"))
MEMORY = {"strategy": {"goal": "memory"}}
MORE = {"PAC, bfloat16 sums": {"comm": {"sums": "bfloat16"}}, "PAC for memory": MEMORY}
MORE["PAC for memory, int8"] = {**MEMORY, "model": {"quantize": "int8"}}
ALONE = 16  # examples of a batch on one device, at most
ENOUGH = 8  # updates of full fine-tuning, for its memory
BARE = "import mpiedge.run.job, psutil, transformers; print(psutil.Process().memory_info().rss)"


def settings(setup, system, epochs, sizes):
    """A run of a system: equal for all but for what it trains and how it is spread."""
    plan, tuned = SYSTEMS[system]
    sizes = dict(zip(("batch_size", "micro_batch_size"), sizes, strict=True))
    asked = setup.settings(TUNED.get(tuned, tuned), PLANS.get(plan, plan), epochs=epochs, **sizes)
    return merged(asked, MORE.get(system, {}))


def merged(asked, more):
    """A run with what it has beside, section by section."""
    parts = {name: replace(getattr(asked, name), **values) for name, values in more.items()}
    return replace(asked, **parts)


def on_nanos(setup, system, batch, micro_batches, profile):
    """What became of a system: seconds an example in an epoch, memory, or what it ended with.

    It has the first of some sizes of micro-batches for which its memory suffices.
    """
    epochs = EPOCHS if system in PACS else 1
    name = system.lower().replace(", ", "-")
    alone = system.startswith("Standalone")
    # Alone there is nothing to sum, so that a batch's size matters to the optimizer only.
    size, ranks = (min(batch, ALONE), 1) if alone else (batch, DEVICES)
    found = {}
    for micro_batch in micro_batches:
        asked = settings(setup, system, epochs, (size, micro_batch))
        if profile and system in PACS:
            asked = merged(asked, {"strategy": {"cluster": str(profile)}})
        found = on_testbed(setup, f"{name}-{micro_batch}", asked, CLUSTER, ranks)
        found |= {"micro_batch": micro_batch, "examples": setup.examples}
        if not out_of_memory(found):
            break
    if "epochs" in found:
        found["seconds"] = round(whole(found), 5)
    return found


def whole(found):
    """Seconds an example for all epochs, of whole epochs: what happens once in one is in it."""
    times = 1 if len(found["epochs"]) == EPOCHS else EPOCHS
    over = sum(found["over"]) / found["examples"]
    return times * (sum(found["epochs"]) + over) + found["between"]


def ratios(found, full, bare):
    """What is asked for, where both sides are there."""
    seconds = {name: each["seconds"] for name, each in found.items() if "epochs" in each}
    pacs, others = (
        {name: each for name, each in seconds.items() if (name in PACS) is ours}
        for ours in (True, False)
    )
    for name, each in pacs.items():
        if lora := seconds.get("Standalone, LoRA"):
            what = f"{name} over Standalone LoRA, 3 epochs"
            yield Judged(what, lora / each, ">=", 20.0, each, lora, "s an example")
        if others:
            best = min(others, key=others.__getitem__)
            yield Judged(f"{name} over {best}", others[best] / each, "", 0.0)
        if full:
            peak = found[name]["peak_bytes"]
            mebibytes = (peak / 2**20, full / 2**20, "MiB")
            what = f"{name}'s peak memory over full's"
            yield Judged(what, peak / full, "<=", 0.1, *mebibytes)
            above = (peak - bare) / (full - bare)
            yield Judged(f"{what}, above what the imports take", above, "", 0.1)


def row(name, found, slowdown):
    """A line of the table."""
    if "epochs" not in found:
        return f"| {name} | out of memory |  |  |" if out_of_memory(found) else f"| {name} | ? |"
    seconds = found["seconds"]
    hours = seconds * MRPC_EXAMPLES / slowdown / 3600
    return f"| {name} | {seconds:.2f} | {hours:.2f} | {found['peak_bytes'] / 2**20:.0f} |"


def out_of_memory(found):
    """Whether that is what ended a run, or kept it from starting."""
    return any("memory" in line or "MiB free" in line for line in found.get("said", ()))


def main():
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("bert-base", "t5-base"), default="t5-base")
    parser.add_argument("--examples", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batches", type=int, nargs="+", default=[2], help="of these sizes")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--profile", action="store_true", help="PAC is planned by a profile")
    parser.add_argument("--quick", action="store_true", help="a tiny model: is all in order?")
    options = parser.parse_args()
    slowdown = cluster.read(CLUSTER).scale.slowdown
    found = {}
    with tempfile.TemporaryDirectory(prefix="systems-") as folder:
        setup = set_up(Path(folder), options.model, options.examples, options.quick)
        full, bare = outside(setup)
        print(f"full fine-tuning outside of the testbed: {full >> 20} MiB at its peak", flush=True)
        with testbed(CLUSTER):
            sizes = (options.batch, options.micro_batches)
            asked = settings(setup, "PAC", EPOCHS, (options.batch, options.micro_batches[0]))
            profile = profiled(setup, "profile", asked, CLUSTER) if options.profile else None
            for system in options.only:
                found[system] = on_nanos(setup, system, *sizes, profile)
                print(json.dumps({system: found[system]}), flush=True)
                if not options.quick:
                    keep(options, setup, (full, bare), found)
    if not options.quick:
        found = keep(options, setup, (full, bare), found)
    print("| system | seconds an example, 3 epochs | hours on Nanos, MRPC | peak, MiB |")
    print("|---|---|---|---|")
    for name in filter(found.get, SYSTEMS):
        print(row(name, found[name], slowdown))
    print(*ratios(found, full, bare), sep="\n")


def outside(setup):
    """Bytes at the peak of full fine-tuning, and of a process that has only its imports."""
    alone = settings(setup, "Standalone, full", 1, (ALONE, 2))
    asked = merged(alone, {"training": {"max_steps": ENOUGH}})
    full = train(setup, "alone", asked)["ranks"][0]["peak_resident_bytes"]
    imports = (sys.executable, "-c", BARE)
    bare = subprocess.run(imports, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return full, int(bare.stdout)


def keep(options, setup, memory, found):
    """Write what was found beside this file; systems that were not run stay.  All there are."""
    path, key = HERE / "results.json", f"{options.model}, batches of {options.batch}"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    every = {**known.get(key, {}).get("systems", {}), **found}
    known[key] = {
        "examples": setup.examples,
        "tokens": round(setup.lengths, 1),
        "mrpc": setup.real,
        "full_peak_bytes": memory[0],
        "bare_bytes": memory[1],
        "systems": every,
        "ratios": {each.what: round(each.value, 3) for each in ratios(every, *memory)},
    }
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    return every


if __name__ == "__main__":
    main()
