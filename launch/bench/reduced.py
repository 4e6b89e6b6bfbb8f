"""Every benchmark in a reduced form, one after the other, and one table of what has a limit.

    python launch/bench/reduced.py [--only NAME ...] [--output FILE]

Tiny models and few rounds: a ratio says that something is badly wrong, not how fast it is.  The
benchmarks' own folders have the full forms and what they measured.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click

sys.path.append(str(Path(__file__).parent / "trains"))

import judged

HERE = Path(__file__).parent
COMMANDS = {
    "pac, BERT": ("pac/compare.py", "--quick", "--model", "bert-base"),
    "pac, T5": ("pac/compare.py", "--quick", "--model", "t5-base"),
    "systems": ("systems/compare.py", "--quick", "--only", "Standalone, LoRA", "EDDL, LoRA", "PAC"),
    "scaling": ("scaling/compare.py", "--quick", "--only", "devices", "cached"),
    "peers": ("peers/compare.py", "--quick", "--rounds", "1"),
    "comm": ("comm/compare.py", "--quick", "--rounds", "3"),
    "ring": ("ring/compare.py", "--quick", "--data", "{data}/mrpc"),
    "split": (
        *("split/compare.py", "--quick", "--data", "{data}", "--part", "time", "--sides"),
        *("split", "splitlora", "--cut", "3"),
    ),
    "deft": ("deft/planner.py", "--times", "1", "--instances", "40"),
    "planning": ("planning/scale.py", "--quick"),
    "auto": ("planning/auto.py", "--clusters", "10"),
    "accuracy": ("planning/accuracy.py", "--model", "minilm", "--size", "8"),
    "faults": ("faults/campaign.py", "--faults", "2"),
    "mutated": ("faults/mutated.py", "--count", "70"),
    "soak": ("faults/soak.py", "--minutes", "0.5"),
    "published": ("published_tables.py",),
}
STORES = {"deft", "faults", "mutated", "soak"}  # take the place for their results
ROOT = {"systems", "scaling"}  # emulate devices
DATA = os.environ.get("MPIEDGE_DATA")
TIMED = re.compile(r"^(.+?) +(\d+) +([\d.]+) s\b.*\blimit ([\d.]+) s", re.M)


def rows(said):
    """What has a limit."""
    yield from judged.lines(said)
    for what, devices, value, limit in TIMED.findall(said):
        yield judged.Judged(f"{what}, {devices} devices, s", float(value), "<=", float(limit))


def lacking(name):
    """Why a benchmark cannot run here, if it cannot."""
    if name in ROOT and os.geteuid():
        return "left out, needs root"
    if any("{data}" in word for word in COMMANDS[name]) and not DATA:
        return "left out, MPIEDGE_DATA is not set"
    return None


def once(name, folder):
    """One benchmark: what it said, its seconds and its exit code."""
    place, *words = (word.format(data=DATA) for word in COMMANDS[name])
    if name in STORES:
        words += ["--output", str(folder / f"{name}.json")]
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(HERE / place), *words], capture_output=True, text=True, check=False
    )
    return done, time.monotonic() - start


def say(cells):
    """A line of the table."""
    print("{:10} {:66} {:>9} {:>9} {:8} {:>8}  {:8} {}".format(*cells).rstrip())


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(COMMANDS)))
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/reduced.json"))
def main(only, output):
    """Run them all, print the table and store it."""
    output.parent.mkdir(parents=True, exist_ok=True)
    found, failed = [], 0
    for name in only or COMMANDS:
        if lacking(name):
            print(f"{name}: {lacking(name)}")
            continue
        done, seconds = once(name, output.parent)
        failed += done.returncode != 0
        state = "done" if done.returncode == 0 else f"exit code {done.returncode}"
        print(f"{name}: {state} in {seconds:.0f} s", flush=True)
        if done.returncode:
            print(done.stderr[-2000:])
        found += [(name, row) for row in rows(done.stdout)]
    columns = ("benchmark", "what", "ours", "peer", "unit", "ratio", "limit", "")
    say(columns)
    for name, row in found:
        ratio, limit = f"{row.value:.3f}", f"{row.relation} {row.limit:g}"
        sides = ["" if side is None else f"{side:.4g}" for side in (row.ours, row.peer)]
        say((name, row.what, *sides, row.unit, ratio, limit, "pass" if row.kept else "FAIL"))
    table = [{"benchmark": name, **row._asdict(), "kept": row.kept} for name, row in found]
    output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
