"""Sums over emulated devices: around a ring as mpiedge has them, and MPI's own.

sudo python launch/bench/comm/sums.py [--devices 8] [--mebibytes 0.25 1 4 16] [--rounds 3]
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from processes import ENVIRONMENT

HERE = Path(__file__).parent
CLUSTER = HERE.parents[2] / "hostfiles" / "nano-8.toml"
RATE = 1000e6 / 6.585 / 8  # bytes a second of a link, as the cluster file says


def measured(options):
    """What the ranks found, a line for each sum."""
    paths = os.pathsep.join([str(HERE / "instead"), ENVIRONMENT["PYTHONPATH"]])
    told = json.dumps({"mebibytes": options.mebibytes, "rounds": options.rounds})
    (HERE / "instead" / "asked.json").write_text(told, encoding="utf-8")
    words = ("testbed", "run", str(CLUSTER), "-n", str(options.devices), "--", "train", "none")
    try:
        done = subprocess.run(
            (sys.executable, "-m", "mpiedge", *words),
            env={**ENVIRONMENT, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=False,  # the launcher misses the result of a train
        )
    finally:
        (HERE / "instead" / "asked.json").unlink()
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return found or sys.exit(done.stderr[-2000:])


def main():
    """Measure, print a table, keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=8)
    parser.add_argument("--mebibytes", type=float, nargs="+", default=[0.25, 1, 4, 16])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sides = {}
    for row in measured(options):
        size = sides.setdefault(row["mebibytes"], {})
        size.setdefault(row["side"], []).append((row["seconds"], row["processor"]))
    rows = []
    for size, found in sides.items():
        middle = {
            side: [median(each) for each in zip(*f, strict=True)] for side, f in found.items()
        }
        least = 2 * (options.devices - 1) / options.devices * size * 2**20 / RATE
        rows.append({"mebibytes": size, "link": round(least, 4), "seconds, processor's": middle})
        cells = " | ".join(f"{s:.3f} ({p:.3f})" for s, p in middle.values())
        print(f"| {size:g} | {least:.3f} | {cells} |", flush=True)
    path = HERE / "sums.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[str(options.devices)] = rows
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
