"""One run of ``mpiedge train``, watched from outside: scores and processor time of every epoch."""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import tomli_w
from inputs import folder_of, model_of, tested_of
from jobs import JOBS, TECHNIQUES, merged, run_of

sys.path.append(str(Path(__file__).parents[1] / "trains"))

from processes import ENVIRONMENT

MPIEDGE = [sys.executable, "-m", "mpiedge"]
LOOK_EVERY = 0.2  # seconds


def measure(wanted, data, work):
    """The record of one run, (task, technique, seed); ``work`` keeps activations and output."""
    task, technique, seed = wanted
    file, output = work / "run.toml", work / "output"
    run = _placed(run_of(*wanted), technique, data, work)
    file.write_text(tomli_w.dumps(run), encoding="utf-8")
    command = [*MPIEDGE, "train", str(file), "--output-dir", str(output)]
    processor, total = _watched(command, output / "metrics.jsonl", work / "log")
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    record = {
        "task": task,
        "technique": technique,
        "seed": seed,
        "scores": [_rounded(each) for each in _evaluations(output / "metrics.jsonl")],
        "seconds": [round(epoch["seconds"], 1) for epoch in result["epochs"]],
        "processor": processor,
        "processor_whole": total,
        "tuned": result["tuned_weights"],
        "cached": TECHNIQUES[technique].kept and not result["plan"][0]["batches"],
    }
    if JOBS[task].test:
        record["test"] = _tested(output, tested_of(run["task"]["name"], data, work))
    return record


def _placed(run, technique, data, work):
    """The run file with folders in place of names."""
    cache = {"folder": str(work / "cache"), "keep": True} if TECHNIQUES[technique].kept else {}
    places = {
        "model": {"name": model_of(run["model"]["name"], data, work)},
        "task": {"data": str(folder_of(run["task"]["data"], data, work))},
        "cache": cache,
    }
    return merged(run, places)


def _watched(command, metrics, log):
    """Run it; the processor's seconds at the end of each epoch's evaluation, and altogether."""
    metrics.unlink(missing_ok=True)
    found, spent = [], 0.0
    with log.open("w", encoding="utf-8") as text:
        process = psutil.Popen(command, env=ENVIRONMENT, stdout=text, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(LOOK_EVERY)
            try:
                used = process.cpu_times()
            except psutil.Error:  # it has just ended
                continue
            spent = used.user + used.system or spent  # a process that has ended shows nothing
            while len(found) < len(_evaluations(metrics)):
                found.append(round(spent, 1))
    if process.returncode:
        raise RuntimeError(log.read_text(encoding="utf-8")[-2000:])
    return found, round(spent, 1)


def _evaluations(metrics):
    if not metrics.exists():
        return []
    lines = metrics.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line)["evaluation"] for line in lines if '"evaluation"' in line]


def _tested(output, folder):
    """The scores of the trained model on the test file."""
    command = [*MPIEDGE, "evaluate", str(output), "--set", f"task.data={folder}"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return _rounded(json.loads(done.stdout.splitlines()[-1]))


def _rounded(scores):
    return {name: round(value, 4) for name, value in scores.items()}
