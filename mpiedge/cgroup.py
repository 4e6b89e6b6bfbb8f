"""Which control group this process is in, and how much memory that leaves it.

Apart from everything else because two packages that do not know one another read the same files
of the kernel: a run that asks how much memory it has, and the testbed that limits it.
"""

from pathlib import Path
from typing import NamedTuple

import psutil

UNLIMITED = 2**60  # bytes: version 1 says "no limit" with a number near 2^63


class Mount(NamedTuple):
    """Where a hierarchy of control groups can be read."""

    version: int
    root: str  # the group that is mounted: not the topmost one in some containers
    path: Path


class Group(NamedTuple):
    """A control group by its version, its folder, and the top of its hierarchy."""

    version: int
    top: Path
    path: Path


def group(controller: str, proc: Path = Path("/proc")) -> Group | None:
    """This process's group for ``cpu`` or ``memory``; none where the kernel offers none."""
    try:
        mounts = (proc / "self/mountinfo").read_text(encoding="utf-8")
        lines = (proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None  # not Linux
    for mount in _mounts(mounts, controller):
        for line in lines:
            number, names, own = line.split(":", 2)
            if controller in names.split(",") or (mount.version == 2 and number == "0"):
                return Group(mount.version, mount.path, _below(mount, own))
    return None


def total_memory() -> int:
    """Bytes that this process could have at most: the machine's, or less in a limited group."""
    total = int(psutil.virtual_memory().total)
    found = group("memory")
    return total if found is None else min(total, limit(found))


def usable_memory() -> int:
    """Bytes that this process can still have: what is free, or less in a limited group."""
    available = int(psutil.virtual_memory().available)
    found = group("memory")
    return available if found is None else max(0, min(available, room(found)))


def limit(found: Group) -> int:
    """The lowest limit of a group and those it lies in, in bytes."""
    return min(_limit(each) for each in lineage(found))


def room(found: Group) -> int:
    """Bytes below the nearest limit of a group and those it lies in, its files not counted.

    What the kernel keeps of files it gives back before a limit is reached.
    """
    return min(_limit(each) - _used(each) for each in lineage(found))


def lineage(found: Group) -> list[Group]:
    """A group and those it lies in, from the inside."""
    inside = [found.path, *found.path.parents]
    known = [path for path in inside if path == found.top or found.top in path.parents]
    return [found._replace(path=path) for path in known]


def _mounts(text: str, controller: str) -> list[Mount]:
    """The hierarchies that have a controller, version 1 before version 2."""
    found = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        root, path = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind == "cgroup" and controller in options.split(","):
            found.append(Mount(1, root, Path(path)))
        if kind == "cgroup2" and controller in _words(Path(path) / "cgroup.controllers"):
            found.append(Mount(2, root, Path(path)))
    return sorted(found, key=lambda mount: mount.version)


def _below(mount: Mount, own: str) -> Path:
    inner = own.removeprefix(mount.root) if mount.root != "/" else own
    path = mount.path / inner.strip("/")
    return path if path.is_dir() else mount.path


def _limit(found: Group) -> int:
    name = "memory.limit_in_bytes" if found.version == 1 else "memory.max"
    words = _words(found.path / name)
    return int(words[0]) if words and words[0].isdecimal() else UNLIMITED


def _used(found: Group) -> int:
    name = "memory.usage_in_bytes" if found.version == 1 else "memory.current"
    words = _words(found.path / name)
    prefix = "total_" if found.version == 1 else ""
    kept = {f"{prefix}active_file", f"{prefix}inactive_file"}
    stat = _words(found.path / "memory.stat")
    files = sum(int(size) for key, size in zip(stat[::2], stat[1::2], strict=False) if key in kept)
    return int(words[0]) - files if words else 0


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return []
