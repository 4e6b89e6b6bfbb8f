"""Faults of whole devices, on an emulated cluster: power, cables, speed, memory and disks.

    sudo python launch/bench/faults/devices.py [--faults 12] [--seed 0] [--kinds ...] ...

``mpiedge launch --max-restarts 3`` runs on the first device, as on the board that one types on, so
that what supervises is in the same network as what breaks.  It is never the first device that
breaks: without it there is nobody to start the run again (it goes on by ``--resume``, elsewhere).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import campaign
import disturbing
import subjects

from mpiedge.testbed import groups, standing

CLUSTER = Path(__file__).with_name("three.toml")
DISK = "48m"  # of the run's output directory, when its disk is to be full
PATIENCE = 15.0  # seconds that a mended device has until nothing of the run is left on it
KINDS = {
    "power off": ("kill",),
    "power off, back after 4 s": ("kill", "--for", "4"),
    "cable out": ("cut",),
    "cable out for 2 s": ("cut", "--for", "2"),
    "four times slower": ("slow", "--factor", "4"),
    "memory full": ("fill", "--for", "20"),
    "disk full": (),
}


def main():
    """Every fault in turn, a table at the end."""
    options = arguments()
    dice, rows = disturbing.dice_of(options.seed), []
    with tempfile.TemporaryDirectory(prefix="devices-") as name:
        place = Path(name)
        subjects.model(place / "model")
        subjects.data(place / "data")
        testbed("up", str(CLUSTER))
        try:
            there = standing.load(standing.ROOT / CLUSTER.stem)
            names = [device.name for device in there.devices]
            (place / "hosts").write_text("\n".join(f"{n} slots=1" for n in names) + "\n")
            wholes = {}
            for number in range(options.faults):
                strategy = options.strategies[number % len(options.strategies)]
                if strategy not in wholes:
                    wholes[strategy] = undisturbed(place, strategy, there)
                kind = options.kinds[number % len(options.kinds)]
                row = disturbed(place, strategy, kind, there, dice, number)
                row["weights_apart"] = campaign.apart(wholes[strategy], place / str(number) / "out")
                print(json.dumps(row), flush=True)
                rows.append(row)
                if options.output:
                    text = json.dumps(rows, indent=1) + "\n"
                    options.output.write_text(text, encoding="utf-8")
                clear(place / str(number))
        finally:
            testbed("down", CLUSTER.stem)
    print(campaign.table(rows))


def arguments():
    """What is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strategies", nargs="+", default=list(subjects.STRATEGIES))
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--output", type=Path)
    return parser.parse_args()


def testbed(*words):
    """A command of the testbed."""
    subprocess.run((sys.executable, "-m", "mpiedge", "testbed", *words), check=True)


def started(place, strategy, folder, there):
    """A train under its supervisor, both on the first device."""
    file = subjects.run_file(place, strategy, folder)
    words = ("launch", "--hostfile", str(place / "hosts"), "--max-restarts", "3", "--rejoin", "8")
    train = ("--", "train", str(file), "--output-dir", str(folder / "out"))
    with (folder / "log").open("w") as log:
        return subprocess.Popen(
            (there.enter(there.devices[0]), sys.executable, "-m", "mpiedge", *words, *train),
            env={**os.environ, "PRTE_MCA_plm_ssh_agent": str(there.folder / "agent")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def undisturbed(place, strategy, there):
    """The output directory of a train that nobody disturbs."""
    folder = place / strategy
    code, _ = campaign.ended(started(place, strategy, folder, there))
    if code != 0:
        sys.exit((folder / "log").read_text(encoding="utf-8"))
    return folder / "out"


def disturbed(place, strategy, kind, there, dice, number):
    """What becomes of a train of which a device is disturbed once, before a random update."""
    folder, victim = place / str(number), dice.randrange(1, len(there.devices))
    moment = dice.randrange(campaign.steps(place / strategy / "out"))
    out = folder / "out"
    out.mkdir(parents=True)
    if kind == "disk full":
        subprocess.run(("mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", out), check=True)
    process = started(place, strategy, folder, there)
    end = time.monotonic() + campaign.LIMIT
    while campaign.steps(out) < moment and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    running = process.poll() is None
    struck, at = time.time(), campaign.steps(out)
    fault = strike(kind, there.devices[victim], out)
    done, again = campaign.went_on(process, out / "run.toml", struck)
    code, _ = campaign.ended(process)
    if fault is not None:
        fault.wait()
    if kind != "disk full":
        testbed("fault", "mend", there.devices[victim].name, "--cluster", there.cluster)
    log = (folder / "log").read_text(encoding="utf-8")
    return {
        "strategy": strategy,
        "fault": kind,
        "rank": victim,
        "before_update": at,
        "hit": running,
        "hung": code is None,
        "exit_code": code,
        "left_behind": left(there),
        "seconds_until_it_goes_on": again,
        "updates_lost": None if done is None else max(0, at - done),
        "tracebacks": log.count("Traceback") + log.count("its trace is in"),
        "said": [line for line in log.splitlines() if line.startswith("mpiedge: ")],
    }


def strike(kind, device, out):
    """Let the fault happen; the process that mends it after its time, where one does."""
    if kind == "disk full":
        with (out / "ballast").open("wb") as ballast:
            try:
                while True:
                    ballast.write(b"\0" * 2**20)
            except OSError:
                return None
    what, *more = KINDS[kind]
    words = ("testbed", "fault", what, device.name, "--cluster", CLUSTER.stem, *more)
    return subprocess.Popen((sys.executable, "-m", "mpiedge", *words))


def left(there):
    """How many processes are on the devices when all should be over."""
    end = time.monotonic() + PATIENCE
    while (count := on_devices(there)) and time.monotonic() < end:
        time.sleep(0.2)
    return count


def on_devices(there):
    """How many processes there are."""
    return sum(len(groups.processes(there.group_of(device))) for device in there.devices)


def clear(folder):
    """Take a run's folder away, and its disk."""
    subprocess.run(("umount", folder / "out"), check=False, capture_output=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
