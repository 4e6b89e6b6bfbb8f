"""Cluster files, devices and machines for tests."""

from dataclasses import replace
from pathlib import Path

from mpiedge.testbed.groups import Trees
from mpiedge.testbed.machine import TOOLS, Machine
from mpiedge.testbed.network import Wiring
from mpiedge.testbed.scaling import Device
from mpiedge.testbed.standing import Owner, Standing

PAIR = """
[[device]]
name = "box"
count = 2
gflops = 0.5
memory = 0.25
rate = 100
"""

BOX = Device("box-0", 0, cores=0.5, memory=2**28, rate=1e8, delay=0.0)
FAR = Device("far", 1, cores=0.25, memory=2**27, rate=2e7, delay=0.01)
ONE_TREE = Trees(2, Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup"))
TWO_TREES = Trees(1, Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/memory/mine"))
GONE = Owner(2**30, 0.0)  # no process has that number

FIT = Machine(
    linux=True,
    root=True,
    tools=frozenset(TOOLS),
    trees=TWO_TREES,
    unwritable="",
    lacks=frozenset({"netem"}),
    tun=True,
    cores=2,
    memory=2**30,
)


def written(folder: Path, text: str = PAIR, name: str = "pair.toml") -> Path:
    """A cluster file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def standing(folder: Path, owner: Owner | None = None, cluster: str = "pair") -> Standing:
    """A testbed of which only the description exists; its groups are plain folders."""
    trees = Trees(1, folder / "cpu", folder / "memory")
    devices = (BOX, replace(FAR, delay=0.0))
    return Standing(cluster, "abc123", devices, Wiring.SHAPED, trees, owner, folder / "root")
