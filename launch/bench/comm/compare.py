"""The transport against plain MPI buffers and gloo: messages, sums, messages while computing."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from judged import Judged
from processes import ENVIRONMENT, MPIRUN

HERE = Path(__file__).parent
SIZES = (4, 16, 64, 256, 1024, 4096, 16384, 65536)  # KiB
LARGE, LIMITS = 1024, {"over_mpi4py": 0.9, "over_gloo": 1.0}  # from so many KiB on


TCP = ("--mca", "btl", "tcp,self", "--mca", "pml", "ob1")
WAYS = {
    "shared memory": (*MPIRUN, "-n", "2", sys.executable),
    "tcp": (*MPIRUN, "-n", "2", *TCP, sys.executable),
    "1000 Mb/s": (
        *(sys.executable, "-m", "mpiedge", "testbed", "run", str(HERE / "two.toml")),
        *("--", "python"),
    ),
}


def measured(sizes, rounds, way):
    """What two ranks found on one machine, or on two emulated ones with a link between them."""
    with tempfile.TemporaryDirectory() as folder:
        words = [json.dumps(sizes), str(rounds), f"file://{folder}/meeting"]
        command = [*WAYS[way], str(HERE / "rank.py"), *words]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith('{"rows"')]
    return json.loads(found[-1]) if found else sys.exit(done.stdout[-500:] + done.stderr[-3000:])


def table(found):
    """Medians by what, size and side, and the transport's rate over each other's."""
    every = {}
    for row in found["rows"]:
        sides = every.setdefault((row["what"], row["kib"]), {})
        sides.setdefault(row["side"], []).append(row["seconds"])
    for (what, kib), sides in every.items():
        seconds = {side: median(each) for side, each in sides.items()}
        yield {
            "what": what,
            "kib": kib,
            **{f"{side}_mib_per_s": round(kib / 1024 / each, 1) for side, each in seconds.items()},
            "over_mpi4py": round(seconds["mpi4py"] / seconds["mpiedge"], 3),
            "over_gloo": round(seconds["gloo"] / seconds["mpiedge"], 3),
        }


def main():
    """Measure every way, print and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--over", nargs="+", choices=WAYS, default=ways())
    parser.add_argument("--quick", action="store_true", help="two sizes, kept nowhere")
    options = parser.parse_args()
    sizes, rounds = (SIZES[::4], 2) if options.quick else (SIZES, options.rounds)
    path = HERE / "results.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {}
    for name in options.over:
        found = measured(list(sizes), rounds, name)
        rows = list(table(found))
        for row in rows:
            print(json.dumps({"over": name, **row}), flush=True)
        print(json.dumps({"over": name, "while computing": found["moving"]}), flush=True)
        kept[name] = {"rows": rows, "while_computing": found["moving"]}
    for name, each in kept.items():
        for row in each["rows"]:
            if row["kib"] >= LARGE:
                judge(name, row)
    if not options.quick:
        path.write_text(json.dumps({**known, **kept}, indent=1) + "\n", encoding="utf-8")


def ways():
    """All ways that this user may measure: only root may emulate machines."""
    return [name for name in WAYS if "testbed" not in WAYS[name] or os.geteuid() == 0]


def judge(over, row):
    """What is asked of large messages and sums, and whether it is so."""
    for name, limit in LIMITS.items():
        what = f"{row['what']} of {row['kib']:,} KiB, {over}, {name.replace('_', ' ')}"
        peer = name.removeprefix("over_")
        sides = [row[f"{side}_mib_per_s"] for side in ("mpiedge", peer)]
        print(Judged(what, row[name], ">=", limit, *sides, "MiB/s"))


if __name__ == "__main__":
    main()
