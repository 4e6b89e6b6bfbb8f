"""Disturbs trains of every strategy at random moments, and looks at what becomes of them."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import disturbing
import psutil
import subjects
from safetensors.torch import load_file

LIMIT = 240.0  # seconds for one train, disturbed or not; what takes longer hangs
WHEN = {"update": ("update",) * 2, "time": ("time",) * 2, "both": ("update", "time")}
APART = 1e-4  # relative difference of weights that are called equal


def main():
    """Every fault in turn, a table at the end."""
    options = arguments()
    dice = disturbing.dice_of(options.seed)
    rows = []
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        place = Path(name)
        subjects.model(place / "model")
        subjects.data(place / "data")
        wholes = {}
        for number in range(options.faults):
            strategy = options.strategies[number % len(options.strategies)]
            kind = options.kinds[number % len(options.kinds)]
            if kind in disturbing.CACHES and strategy not in subjects.CACHING:
                strategy = dice.choice(subjects.CACHING)
            if strategy not in wholes:
                wholes[strategy] = undisturbed(place, strategy, options.ranks)
            row = disturbed(place, strategy, kind, options, dice, number)
            row["weights_apart"] = apart(wholes[strategy], place / str(number) / "out")
            print(json.dumps(row), flush=True)
            rows.append(row)
            shutil.rmtree(place / str(number))
            if options.output:
                options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(table(rows))


def arguments():
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=16)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategies", nargs="+", default=list(subjects.STRATEGIES))
    parser.add_argument("--kinds", nargs="+", default=list(disturbing.KINDS))
    parser.add_argument("--when", choices=list(WHEN), default="update")
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def started(place, strategy, ranks, folder):
    """A train under its supervisor."""
    file = subjects.run_file(place, strategy, folder)
    path = os.pathsep.join(
        [str(Path(__file__).parent / "rank"), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    words = ("launch", "-n", str(ranks), "--max-restarts", "2", "--", "train", str(file))
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "mpiedge", *words, "--output-dir", str(folder / "out")),
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def undisturbed(place, strategy, ranks):
    """The output directory of a train that nobody disturbs."""
    folder = place / strategy
    code, _ = ended(started(place, strategy, ranks, folder))
    if code != 0:
        sys.exit((folder / "log").read_text(encoding="utf-8"))
    return folder / "out"


def lasted(out):
    """Seconds from a train's first word in its output directory to its result."""
    return (out / "result.json").stat().st_mtime - (out / "run.toml").stat().st_mtime


def disturbed(place, strategy, kind, options, dice, number):
    """What becomes of a train disturbed once, before a random update or at a random time."""
    folder, victim = place / str(number), dice.randrange(options.ranks)
    process = started(place, strategy, options.ranks, folder)
    out = folder / "out"
    end = time.monotonic() + LIMIT
    whole = place / strategy / "out"
    if WHEN[options.when][number % 2] == "time":
        wait((out / "run.toml").exists, process, end)
        time.sleep(dice.random() * lasted(whole))
    # There is nothing to damage before the first checkpoint.
    first = subjects.EVERY + 1 if kind in disturbing.CHECKPOINTS else 0
    by_update = WHEN[options.when][number % 2] == "update"
    moment = dice.randrange(first, steps(whole)) if by_update else first
    wait(lambda: steps(out) >= moment, process, end)
    doing = state(out)
    hit = False
    while not hit and process.poll() is None and time.monotonic() < end:
        hit = disturbing.strike(kind, process.pid, victim, out, dice)
        time.sleep(0 if hit else 0.05)
    struck, at = time.time(), steps(out)
    done, again = went_on(process, out / "run.toml", struck)
    code, left = ended(process)
    log = (folder / "log").read_text(encoding="utf-8")
    return {
        "strategy": strategy,
        "fault": kind,
        "at": WHEN[options.when][number % 2],
        "rank": victim,
        "before_update": at,
        "doing": doing,
        "hit": hit,
        "hung": code is None,
        "exit_code": code,
        "left_behind": left,
        "seconds_until_it_goes_on": again,
        "updates_lost": None if done is None else max(0, at - done),
        "tracebacks": log.count("Traceback") + log.count("its trace is in"),
        "said": [line for line in log.splitlines() if line.startswith("mpiedge: ")],
    }


def wait(reached, process, end):
    """Wait for a train to have come so far, or to end."""
    while not reached() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


def state(out):
    """What a train does, as its status says."""
    path = out / "status.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    phase = f", phase {found['phase']}" if found.get("phases", 1) > 1 else ""
    return found.get("state", "starting") + phase


def went_on(process, begun, struck):
    """From which update, and how many seconds after the fault; nothing where it just finished."""
    status = begun.with_name("status.json")
    while process.poll() is None and time.time() < struck + LIMIT:
        # a start writes the run file anew, and its first status says where it stands
        if begun.exists() and begun.stat().st_mtime > struck and status.exists():
            found = json.loads(status.read_text(encoding="utf-8"))
            if found["time"] > struck:
                return found["checkpoint"] or 0, round(time.time() - struck, 1)
        time.sleep(0.02)
    return None, None


def ended(process):
    """The exit code, or none if it had to be killed; and how many processes it left behind."""
    seen = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    try:
        code = process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        code = None
        process.send_signal(signal.SIGKILL)
        process.wait()
    _, left = psutil.wait_procs(seen, timeout=3)
    for each in left:
        each.kill()
    return code, len(left)


def steps(out):
    """Updates that are written down."""
    path = out / "metrics.jsonl"
    return path.read_text(encoding="utf-8").count('"learning_rate"') if path.exists() else 0


def apart(whole, out):
    """The relative difference of all tuned weights; none where there are not any."""
    files = [next((each / "adapter").glob("*.safetensors"), None) for each in (whole, out)]
    if None in files:
        return None
    ours, theirs = (load_file(file) for file in files)
    above = sum(float((ours[n].double() - theirs[n].double()).norm() ** 2) for n in ours)
    below = sum(float(ours[n].double().norm() ** 2) for n in ours)
    return (above / below) ** 0.5


def table(rows):
    """How often what happened, for each kind of fault."""
    lines = ["fault | times | hung | finished | weights equal | updates lost | seconds to go on"]
    lines.append("---|---|---|---|---|---|---")
    for kind in dict.fromkeys(row["fault"] for row in rows):
        some = [row for row in rows if row["fault"] == kind]
        equal = [r for r in some if r["weights_apart"] is not None and r["weights_apart"] < APART]
        lost = [r["updates_lost"] for r in some if r["updates_lost"] is not None]
        took = [r["seconds_until_it_goes_on"] for r in some if r["seconds_until_it_goes_on"]]
        cells = (
            kind,
            len(some),
            sum(row["hung"] for row in some),
            sum(row["exit_code"] == 0 for row in some),
            len(equal),
            f"{min(lost)} to {max(lost)}" if lost else "",
            f"{median(took):.1f}, at most {max(took):.1f}" if took else "",
        )
        lines.append(" | ".join(map(str, cells)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
