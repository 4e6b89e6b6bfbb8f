"""How the cost of an example grows: with devices, depth, length, and examples kept on the disk.

python launch/bench/scaling/compare.py [--only devices|depth|length|cached ...] [--quick]
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import bound
import drawing

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from inputs import set_up
from nanos import on_testbed, steady, testbed
from whole import train

HERE = Path(__file__).parent
CLUSTER = HERE.parents[2] / "hostfiles" / "nano-8.toml"
PICTURE = HERE.parents[2] / "docs" / "scaling.png"
BATCH, MICRO_BATCH, EPOCHS = 32, 8, 2
UPDATES = 5  # of an epoch, on emulated devices and for depth and length
STRATEGIES = {"data-parallel": "lora", "pipeline": "lora", "pac": "parallel"}
SIZES = {
    "devices": [1, 2, 4, 8],
    "depth": [3, 6, 12, 24],
    "length": [16, 32, 64, 128, 256, 512],
    "cached": [1_000, 10_000, 100_000],
}
QUICK = {"devices": [1, 2], "depth": [3, 6], "length": [16, 32], "cached": [1_000, 4_000]}
LEFT_OUT = {"pipeline"}  # if it has to be quick


def sizes(options, what):
    """What is measured at: as asked for, or less of it."""
    return (QUICK if options.quick else SIZES)[what]


def over_devices(options):
    """Seconds an example on so many emulated Nanos; the bound: those of one, divided."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder, testbed(CLUSTER):
        setup = set_up(Path(folder), "bert-base", UPDATES * BATCH, options.quick)
        for strategy, adapter in STRATEGIES.items():
            if options.quick and strategy in LEFT_OUT:
                continue
            one = None
            for devices in sizes(options, "devices"):
                # So small that each of eight devices has some of a batch.
                how = {"batch_size": BATCH, "micro_batch_size": 2}
                how["epochs"] = EPOCHS if strategy == "pac" else 1
                name = f"{strategy}-{devices}"
                given = setup.settings(adapter, strategy, **how)
                found = on_testbed(setup, name, given, CLUSTER, devices)
                if "epochs" not in found:
                    sys.exit(f"{strategy} on {devices}: {found}")
                kinds = ["pac, recording", "pac, cached"] if strategy == "pac" else [strategy]
                one = one or found["epochs"]
                for kind, seconds, alone in zip(kinds, found["epochs"], one, strict=True):
                    yield row(("devices", kind, devices), seconds, alone / devices, found)


def over_models(options, what):
    """Seconds an example of LoRA, by the model's blocks or an example's tokens, on one rank."""
    for size in sizes(options, what):
        blocks, tokens = (size, 64) if what == "depth" else (4, size)
        more = {"num_hidden_layers": blocks, "tokens": tokens}
        with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
            setup = set_up(Path(folder), "bert-base", UPDATES * BATCH, options.quick, **more)
            settings = setup.settings("lora", epochs=1)
            settings = replace(settings, task=replace(settings.task, max_length=tokens))
            result = train(setup, "lora", settings)
            (seconds,) = steady(setup.folder / "lora", BATCH)
            least = bound.seconds(setup.folder / "model", MICRO_BATCH, tokens)
        yield row((what, "lora", size), seconds, least, result["ranks"][0])


def over_examples(options):
    """Seconds an example of a little model, recorded and read; the bound: at the fewest."""
    least = None
    for examples in sizes(options, "cached"):
        with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
            setup = set_up(Path(folder), "bert-base", examples, True, tokens=24)
            settings = setup.settings("parallel", "pac", epochs=EPOCHS)
            settings = replace(settings, cache=replace(settings.cache, keep=True))
            result = train(setup, "pac", settings)
            kept = setup.folder / "cache"
            size = sum(each.stat().st_size for each in kept.rglob("*") if each.is_file())
            found = [epoch["seconds"] / examples for epoch in result["epochs"]]
            shutil.rmtree(kept)
        least = least or found
        for kind, seconds, fewest in zip(("recording", "cached"), found, least, strict=True):
            one = row(("cached", kind, examples), seconds, fewest, result["ranks"][0])
            yield {**one, "cache_bytes": size}


def row(place, seconds, least, found):
    """One line of the results; ``place``: what grows, of which kind, how large."""
    what, kind, size = place
    return {
        "what": what,
        "kind": kind,
        "size": size,
        "seconds_an_example": round(seconds, 6),
        "bound": round(least, 6),
        "peak_bytes": found.get("peak_bytes") or found["peak_resident_bytes"],
    }


PARTS = {
    "devices": over_devices,
    "depth": lambda options: over_models(options, "depth"),
    "length": lambda options: over_models(options, "length"),
    "cached": over_examples,
}


def main():
    """Measure, print, keep, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="tiny models: is all in order?")
    options = parser.parse_args()
    for part in options.only:
        found = []
        for one in PARTS[part](options):
            print(said(one), flush=True)
            found.append(one)
        if not options.quick:
            keep(part, found)


def keep(part, found):
    """Put a part's results beside those of the others, and draw all."""
    path = HERE / "results.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    every = [each for each in known if each["what"] != part] + found
    path.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    drawing.draw(every, PICTURE)


def said(one):
    """A line of the table."""
    times = one["seconds_an_example"] / one["bound"]
    memory = f"{one['peak_bytes'] / 2**20:.0f}"
    disk = f" {one['cache_bytes'] / 2**20:.0f} |" if "cache_bytes" in one else ""
    what = f"{one['what']} | {one['kind']} | {one['size']:,}"
    return f"| {what} | {one['seconds_an_example'] * 1000:.2f} | {times:.2f} | {memory} |{disk}"


if __name__ == "__main__":
    main()
