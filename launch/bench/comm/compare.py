"""The transport against plain MPI buffers and gloo: messages, sums, messages while computing."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from processes import ENVIRONMENT, MPIRUN

HERE = Path(__file__).parent
SIZES = (4, 16, 64, 256, 1024, 4096, 16384, 65536)  # KiB
LARGE, LIMITS = 1024, {"over_mpi4py": 0.9, "over_gloo": 1.0}  # from so many KiB on


def measured(sizes, rounds, tcp):
    """What two ranks found; ``tcp``: MPI's messages go over TCP too, as between machines."""
    more = ["--mca", "btl", "tcp,self", "--mca", "pml", "ob1"] if tcp else []
    with tempfile.TemporaryDirectory() as folder:
        words = [json.dumps(sizes), str(rounds), f"file://{folder}/meeting"]
        command = [*MPIRUN, "-n", "2", *more, sys.executable, str(HERE / "rank.py"), *words]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


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
    """Measure over shared memory and over TCP, print and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two sizes, kept nowhere")
    options = parser.parse_args()
    sizes, rounds = (SIZES[::4], 2) if options.quick else (SIZES, options.rounds)
    kept = {}
    for name, tcp in (("shared memory", False), ("tcp", True)):
        found = measured(list(sizes), rounds, tcp)
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
        text = json.dumps(kept, indent=1) + "\n"
        (HERE / "results.json").write_text(text, encoding="utf-8")


def judge(over, row):
    """What is asked of large messages and sums, and whether it is so."""
    for name, limit in LIMITS.items():
        what = f"{row['what']} of {row['kib']:,} KiB, {over}, {name.replace('_', ' ')}"
        verdict = "pass" if row[name] >= limit else "FAIL"
        print(f"{what:60}  {row[name]:.2f}  >= {limit:g}  {verdict}")


if __name__ == "__main__":
    main()
