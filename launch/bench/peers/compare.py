"""Against what a user would pick instead: PEFT with DDP, and torch's own pipelines, over gloo."""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from inputs import set_up
from judged import Judged
from processes import ENVIRONMENT, MPIRUN
from whole import train

from mpiedge.config import to_toml

HERE = Path(__file__).parent
PLAIN = {"clip_norm": 0.0, "schedule": "constant", "warmup": 0.0}
SAME = 1e-4  # by which losses may differ: both sides add up in another order
LIMITS = {"data-parallel over DDP": 1.0, "pipeline over torch pipelining": 1.0}
LIMITS["pac over the best of them, 3 epochs"] = 4.0
LIMITS["fedlora over Flower"] = 1.0
LIMIT = 900  # seconds for a run of a peer
BATCH, STEPS = 16, 3  # of a client in a round of federated averaging


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def peer(program, run, ranks, *words):
    """A peer's seconds and losses."""
    port = free_port()
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    paths = os.pathsep.join([str(HERE), str(HERE.parents[2])])
    command = [*MPIRUN, "-n", str(ranks), sys.executable, str(HERE / program), str(run), *words]
    done = subprocess.run(
        command,
        env={**ENVIRONMENT, **where, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
    if done.returncode:
        sys.exit(f"{program}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ours(setup, strategy, ranks, number, adapter="lora"):
    """The seconds and losses of a run of mpiedge, and the layers of each rank."""
    name = f"{strategy}-{number}"
    settings = setup.settings(adapter, strategy, **PLAIN)
    result = train(setup, name, settings, ranks)
    lines = (setup.folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "learning_rate" in row]
    seconds = [epoch["seconds"] for epoch in result["epochs"]]
    seconds[0] += result.get("caching", {}).get("seconds", 0.0)
    return {"seconds": seconds, "losses": losses, "plan": result["plan"]}


def averaged(setup, number, clients):
    """Seconds an example of rounds of federated averaging: ours, and Flower's."""
    settings = setup.settings("lora", "fedlora", batch_size=BATCH, **PLAIN)
    strategy = replace(settings.strategy, clients=clients, local_steps=STEPS)
    name, size = f"fedlora-{number}", clients * STEPS * BATCH
    train(setup, name, replace(settings, strategy=strategy), clients + 1)
    lines = (setup.folder / name / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rounds = [row for row in map(json.loads, lines) if "learning_rate" in row]
    ends = [row["seconds"] for row in rounds]
    apart = [late - soon for soon, late in zip(ends, ends[1:], strict=False)]
    run = setup.folder / "flower.toml"
    run.write_text(to_toml(setup.settings("lora", batch_size=BATCH, **PLAIN)), encoding="utf-8")
    theirs = flower(run, clients, len(rounds))
    last = rounds[-1]["loss"], theirs["losses"][-1]
    print("mean loss of the last round: {:.4f}, Flower's {:.4f}".format(*last))
    return {"fedlora": median(apart) / size, "flower": median(theirs["seconds"][1:]) / size}


def flower(run, clients, rounds):
    """The seconds and losses of Flower's rounds, from its server."""
    port = free_port()
    words = [sys.executable, str(HERE / "flower.py"), str(run), "--steps", str(STEPS)]
    words += ["--address", f"127.0.0.1:{port}", "--clients", str(clients)]
    words += ["--rounds", str(rounds)]
    paths = os.pathsep.join([str(HERE), str(HERE.parents[2])])
    environment = {**ENVIRONMENT, "PYTHONPATH": paths}
    end, everyone = time.monotonic() + LIMIT, []
    with ExitStack() as files:
        for number in (None, *range(clients)):
            out, errors = (files.enter_context(TemporaryFile("w+")) for _ in range(2))
            more = [] if number is None else ["--number", str(number)]
            process = subprocess.Popen(
                [*words, *more], stdout=out, stderr=errors, text=True, env=environment
            )
            everyone.append((process, out, errors))
            files.callback(process.kill)
            if number is None:
                wait_for(int(port), end)  # a client that finds no server gives up now and then
        while any(process.poll() is None for process, *_ in everyone):
            failed = [errors for process, _, errors in everyone if process.poll()]
            if failed or time.monotonic() > end:
                where = failed[0] if failed else everyone[0][2]
                where.seek(0)
                sys.exit(f"Flower {'failed' if failed else 'hangs'}: {where.read()[-3000:]}")
            time.sleep(0.1)
        said = everyone[0][1]
        said.seek(0)
        return json.loads(said.read().splitlines()[-1])


def wait_for(port, end):
    """Wait until somebody listens."""
    while time.monotonic() < end:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


def blocks(plan):
    """How many blocks each rank of a pipeline has."""
    (route,) = plan[0]["routes"]
    head = route[-1]["layers"][1] - 1
    held = [range(*stage["layers"]) for stage in route]
    return [len([layer for layer in each if 0 < layer < head]) for each in held]


def far(one, other):
    """The largest difference of two rows of losses."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def measure(options, folder):
    """All sides in turn, so often."""
    setup = set_up(folder, options.model, options.examples, options.quick)
    run = folder / "peer.toml"
    run.write_text(to_toml(setup.settings("lora", **PLAIN)), encoding="utf-8")
    rounds = []
    for number in range(options.rounds):
        found = {
            "data-parallel": ours(setup, "data-parallel", options.ranks, number),
            "ddp": peer("ddp.py", run, options.ranks),
            "pipeline": ours(setup, "pipeline", options.ranks, number),
        }
        sizes = ",".join(map(str, blocks(found["pipeline"]["plan"])))
        found["torch pipelining"] = peer("pipelining.py", run, options.ranks, sizes)
        found["pac"] = ours(setup, "pac", options.ranks, number, "parallel")
        for name in ("ddp", "pipeline", "torch pipelining"):
            apart = far(found["data-parallel"]["losses"], found[name]["losses"])
            if apart > SAME:
                sys.exit(f"{name} does not train the same: losses are {apart:.2g} apart")
        rounds.append({name: each["seconds"] for name, each in found.items()})
        if find_spec("flwr") and not options.no_flower:
            rounds[-1].update(averaged(setup, number, options.ranks))
        print(json.dumps({"round": number + 1, **rounds[-1]}), flush=True)
        if not options.quick:
            keep(options, setup, rounds)
    return rounds


def keep(options, setup, rounds):
    """Write the rounds so far beside this file: what is cut short is not lost."""
    path = HERE / "results.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[f"{options.model}, {options.ranks} ranks"] = {
        "examples": setup.examples,
        "tokens": round(setup.lengths, 1),
        "mrpc": setup.real,
        "ratios": {name: round(each.value, 3) for name, each in ratios(rounds).items()},
        "seconds": rounds,
    }
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def ratios(rounds):
    """Medians over the rounds; epochs after the first, in which everything is warm."""

    def later(name):
        return median(sum(each[name][1:]) / len(each[name][1:]) for each in rounds)

    def whole(name):
        return median(sum(each[name]) for each in rounds)

    best = min(whole("ddp"), whole("torch pipelining"))
    found = {
        "data-parallel over DDP": (later("data-parallel"), later("ddp")),
        "pipeline over torch pipelining": (later("pipeline"), later("torch pipelining")),
        "pac over the best of them, 3 epochs": (whole("pac"), best),
    }
    if "flower" in rounds[0]:
        of = {name: median(each[name] for each in rounds) for name in ("fedlora", "flower")}
        found["fedlora over Flower"] = (of["fedlora"], of["flower"])
    return {
        name: Judged(name, peer / ours, ">=", LIMITS[name], ours, peer)
        for name, (ours, peer) in found.items()
    }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("bert-base",), default="bert-base")
    parser.add_argument("--examples", type=int, default=192)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tiny model: is all in order?")
    parser.add_argument("--no-flower", action="store_true", help="leave federated averaging out")
    options = parser.parse_args()
    if not find_spec("flwr") and not options.no_flower:
        print("without Flower, which is not installed: pip install flwr")
    with tempfile.TemporaryDirectory() as folder:
        rounds = measure(options, Path(folder))
    print(*ratios(rounds).values(), sep="\n")


if __name__ == "__main__":
    main()
