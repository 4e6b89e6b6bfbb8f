"""What stands: each testbed's description in a file, from before its first part until its end.

The file is what a command needs to find, to change and to remove what another one made, also one
that was killed.  Its folder is made as the very first thing, so two commands cannot build the
same cluster at once.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import gettempdir

import psutil

from mpiedge.errors import BadInput
from mpiedge.testbed.groups import Trees
from mpiedge.testbed.names import Names
from mpiedge.testbed.network import Wiring
from mpiedge.testbed.scaling import Device

ROOT = Path("/run/mpiedge-testbed")
_FILE = "testbed.json"


@dataclass(frozen=True)
class Owner:
    """The command that a testbed belongs to; it goes down with it."""

    pid: int
    started: float  # a number may come again, with its time it does not

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        try:
            return bool(psutil.Process(self.pid).create_time() == self.started)
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True)
class Standing:
    """A testbed: what it emulates, and where all its parts are."""

    cluster: str
    token: str
    devices: tuple[Device, ...]
    wiring: Wiring
    trees: Trees  # that hold its groups
    owner: Owner | None  # none: it stands until it is taken down
    root: Path = ROOT

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.root / self.cluster

    @property
    def names(self) -> Names:
        """What its parts are called."""
        return Names(self.token)

    @property
    def scratch(self) -> Path:
        """Where its devices have their temporary files."""
        return Path(gettempdir()) / self.names.scratch

    @property
    def events(self) -> Path:
        """The log of the faults."""
        return self.folder / "faults.jsonl"

    @property
    def group(self) -> Trees:
        """Its control group."""
        return self.trees.of(self.names.group)

    def group_of(self, device: Device) -> Trees:
        """A device's control group."""
        return self.group.of(device.name)

    def enter(self, device: Device) -> str:
        """The program that runs a command on a device."""
        return str(self.folder / f"enter-{device.name}")


def myself() -> Owner:
    """This process."""
    return Owner(os.getpid(), psutil.Process().create_time())


def claim(standing: Standing) -> None:
    """Make a testbed's folder with its file; raises FileExistsError if the cluster has one.

    Both appear at once: a folder that says nothing could never be removed again.
    """
    standing.root.mkdir(mode=0o755, exist_ok=True)
    part = standing.root / f".{standing.token}"
    part.mkdir(mode=0o755)
    (part / _FILE).write_text(_text(standing), encoding="ascii")
    try:
        part.rename(standing.folder)
    except OSError as error:
        shutil.rmtree(part)
        raise FileExistsError(standing.folder) from error


def save(standing: Standing) -> None:
    """Write a testbed's file anew, whole or not at all."""
    part = standing.folder / f"{_FILE}.part"
    part.write_text(_text(standing), encoding="ascii")
    part.replace(standing.folder / _FILE)


def _text(standing: Standing) -> str:
    values = asdict(standing)
    trees = standing.trees
    values["trees"] = {"version": trees.version, "cpu": str(trees.cpu), "memory": str(trees.memory)}
    del values["root"]  # the file is in it
    return json.dumps(values)


def abandoned(standing: Standing) -> Standing:
    """A testbed that no command belongs to any more, as it is saved now."""
    free = replace(standing, owner=None)
    save(free)
    return free


def load(folder: Path) -> Standing | None:
    """The testbed of a folder; none if there is none, or it was never begun."""
    try:
        values = json.loads((folder / _FILE).read_text(encoding="ascii"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    trees = values["trees"]
    return Standing(
        cluster=values["cluster"],
        token=values["token"],
        devices=tuple(Device(**each) for each in values["devices"]),
        wiring=Wiring(values["wiring"]),
        trees=Trees(trees["version"], Path(trees["cpu"]), Path(trees["memory"])),
        owner=Owner(**values["owner"]) if values["owner"] else None,
        root=folder.parent,
    )


def every(root: Path = ROOT) -> list[Standing]:
    """All testbeds of this machine."""
    return sorted(_found(root), key=lambda standing: standing.cluster)


def _found(root: Path) -> Iterator[Standing]:
    with contextlib.suppress(FileNotFoundError):
        for folder in root.iterdir():
            standing = load(folder)
            if standing is not None:
                yield standing


def with_device(name: str, cluster: str | None, root: Path = ROOT) -> tuple[Standing, Device]:
    """The testbed that has a device of that name, and the device; raises BadInput."""
    known = [each for each in every(root) if cluster in (None, each.cluster)]
    if not known:
        what = f"of the cluster {cluster} " if cluster else ""
        raise BadInput(f"no testbed {what}stands; start one with 'mpiedge testbed up CLUSTER.toml'")
    found = [(each, device) for each in known for device in each.devices if device.name == name]
    if not found:
        names = ", ".join(device.name for each in known for device in each.devices)
        raise BadInput(f"no device is called {name!r}; there are {names}")
    if len(found) > 1:
        clusters = " and ".join(each.cluster for each, _ in found)
        raise BadInput(f"{clusters} both have a device {name}; say which with --cluster")
    return found[0]
