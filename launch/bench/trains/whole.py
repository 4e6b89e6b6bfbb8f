"""Whole runs as a user starts them, each in processes of its own: their time and their memory."""

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from processes import ENVIRONMENT

from mpiedge.config import to_toml

NAP = 0.02  # seconds between two looks at a process


def train(setup, name, settings, ranks=1, watch=None):
    """Run ``mpiedge train`` and read its result; ``watch`` sees the process and the output."""
    run, output = setup.folder / f"{name}.toml", setup.folder / name
    run.write_text(to_toml(settings), encoding="utf-8")
    command = ["train", str(run), "--output-dir", str(output)]
    if ranks > 1:
        command = ["launch", "-n", str(ranks), "--", *command]
    process = subprocess.Popen(
        [sys.executable, "-m", "mpiedge", *command], env=ENVIRONMENT, stdout=subprocess.DEVNULL
    )
    if watch is not None:
        watch(process, output)
    if process.wait() != 0:
        raise SystemExit(f"{name} failed")
    return json.loads((output / "result.json").read_text(encoding="utf-8"))


def seconds(result):
    """Seconds of training: every epoch, and what lies between the phases."""
    between = result.get("caching", {}).get("seconds", 0.0)
    return [epoch["seconds"] for epoch in result["epochs"]], between


class Processor:
    """The processor's seconds that each rank takes for its updates, what MPI takes to wait too."""

    def __init__(self, epochs, updates):
        self._epochs, self._updates = epochs, updates  # of an epoch
        self._spent = {}

    def __call__(self, process, output):
        """Look at the ranks while they run; evaluations are left out."""
        before = {}
        while process.poll() is None:
            now = _times(process.pid)
            if self._trains(output):
                for pid in before.keys() & now.keys():
                    self._spent[pid] = self._spent.get(pid, 0.0) + now[pid] - before[pid]
            before = now
            time.sleep(NAP)

    def _trains(self, output):
        if not (output / "metrics.jsonl").exists():
            return False
        steps, evaluations = _lines(output, "learning_rate"), _lines(output, "evaluation")
        return evaluations < self._epochs and steps < (evaluations + 1) * self._updates

    @property
    def most(self):
        """Of the rank that took the most."""
        return max(self._spent.values())


def _times(pid):
    """Seconds of the processor that the ranks below a process, or it itself, have taken."""
    found = {}
    with suppress(psutil.Error):
        top = psutil.Process(pid)
        for each in [*top.children(recursive=True), top]:
            with suppress(psutil.Error):
                words = each.cmdline()
                if words[2:4] == ["mpiedge", "train"]:
                    used = each.cpu_times()
                    found[each.pid] = used.user + used.system
    return found


class Phase2:
    """The memory of a process once it trains from what was recorded."""

    def __init__(self, updates):
        self._updates = updates  # of the first phase
        self.after = self.most = 0  # bytes: at its first look, and the most ever

    def __call__(self, process, output):
        """Wait for the first update that is replayed; from there on look until the end."""
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None and _lines(output, "learning_rate") <= self._updates:
            time.sleep(NAP)
        self.after = _bytes(status, "VmRSS")
        Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")
        while process.poll() is None:
            self.most = _bytes(status, "VmHWM") or self.most
            time.sleep(NAP)


def _lines(output, key):
    file = output / "metrics.jsonl"
    return file.read_text(encoding="utf-8").count(f'"{key}": ') if file.exists() else 0


def _bytes(status, name):
    """A line of a process's status; 0 when it is about to end."""
    try:
        lines = status.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
