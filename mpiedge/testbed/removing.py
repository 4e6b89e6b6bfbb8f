"""Takes a testbed away, whatever is left of it.

Every step bears that its part is missing, so a testbed that was never finished, or was half taken
away, goes the same way as a whole one.  Only what the testbed's own token names is touched.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

from mpiedge.testbed import groups, shell
from mpiedge.testbed.groups import Trees
from mpiedge.testbed.scripts import NAMESPACES
from mpiedge.testbed.standing import ROOT, Standing, every, load

ROUNDS = 100  # of killing what runs, or of waiting for a group to be empty
PAUSE = 0.05  # seconds between two


def remove(standing: Standing) -> None:
    """Kill what runs on a testbed, and take its parts away."""
    kill(standing)
    for name in _namespaces(standing):
        shell.tried(("ip", "netns", "delete", name))
    for at in _groups(standing):
        for folder in at.folders:
            _take_group(folder)
    shutil.rmtree(standing.scratch, ignore_errors=True)
    at_place = load(standing.folder)
    if at_place is not None and at_place.token == standing.token:
        shutil.rmtree(standing.folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        standing.root.rmdir()  # only if this was the last


def kill(standing: Standing) -> None:
    """Kill every process of a testbed, and what they start while they are being killed."""
    for _ in range(ROUNDS):
        left = _processes(standing)
        if not left:
            return
        kill_all(left)
        time.sleep(PAUSE)


def kill_all(processes: list[int]) -> None:
    """Kill these processes, as far as they are still there."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def leftover(root: Path = ROOT) -> list[Standing]:
    """The testbeds whose command has gone without taking them down."""
    return [each for each in every(root) if each.owner is not None and not each.owner.lives]


def _processes(standing: Standing) -> list[int]:
    found = {pid for at in _groups(standing) for pid in groups.processes(at)}
    for name in _namespaces(standing):
        found.update(map(int, shell.output(("ip", "netns", "pids", name)).split()))
    return sorted(found - {os.getpid()})


def _namespaces(standing: Standing) -> list[str]:
    """Those of its namespaces that are there."""
    names = standing.names
    every_one = [names.switch, *(names.namespace(each.name) for each in standing.devices)]
    return [name for name in every_one if (NAMESPACES / name).exists()]


def _groups(standing: Standing) -> list[Trees]:
    """Its groups, the inner ones first."""
    return [*(standing.group_of(device) for device in standing.devices), standing.group]


def _take_group(folder: Path) -> None:
    """A group can be removed a moment after its last process has gone."""
    for _ in range(ROUNDS):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(PAUSE)
