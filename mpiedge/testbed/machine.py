"""What this machine has of what a testbed needs.

Gathered into a value, so that what is missing can be said (``findings``) without missing it.
"""

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from mpiedge.cgroup import total_memory
from mpiedge.testbed import groups, network, shell
from mpiedge.testbed.groups import Trees
from mpiedge.testbed.names import drawn

TOOLS = ("ip", "tc", "nsenter", "unshare", "mount", "env")
TUN = Path("/dev/net/tun")


@dataclass(frozen=True)
class Machine:
    """A machine as a testbed sees it."""

    linux: bool
    root: bool
    tools: frozenset[str]  # of TOOLS, those that are there
    trees: Trees | None  # where control groups can be made
    unwritable: str  # the group in which none can, and why; empty if they can
    lacks: frozenset[str]  # parts that the kernel lacks, or "namespaces"
    tun: bool  # the device of the switch's program
    cores: int
    memory: int  # bytes


def look(*, trial: bool) -> Machine:
    """What this machine has; with ``trial`` the kernel's parts are tried out, which needs root."""
    root = os.geteuid() == 0
    linux = sys.platform == "linux"
    tools = frozenset(tool for tool in TOOLS if shutil.which(tool))
    trees = groups.trees() if linux else None
    able = trial and root and linux and {"ip", "tc"} <= tools
    return Machine(
        linux=linux,
        root=root,
        tools=tools,
        trees=trees,
        unwritable=_unwritable(trees) if able and trees else "",
        lacks=_lacks() if able else frozenset(),
        tun=TUN.exists(),
        cores=_cores(),
        memory=total_memory(),
    )


def _unwritable(trees: Trees) -> str:
    """Why no group can be made, found by making one."""
    trial = trees.of(drawn().group)
    made: list[Path] = []
    try:
        for folder in trial.folders:
            folder.mkdir()
            made.append(folder)
        groups.write(groups.share(trial))
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    finally:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
    return ""


def _lacks() -> frozenset[str]:
    """The parts of the kernel that could not be had in a namespace made for the trial."""
    namespace = drawn().switch
    if shell.tried(("ip", "netns", "add", namespace))[0]:
        return frozenset({"namespaces"})
    try:
        tried = {name: shell.tried(each) for name, each in network.probes(namespace).items()}
    finally:
        shell.tried(("ip", "netns", "delete", namespace))
    return frozenset(name for name, (code, _) in tried.items() if code)


def _cores() -> int:
    able = getattr(os, "sched_getaffinity", None)
    return len(able(0)) if able else os.cpu_count() or 1
