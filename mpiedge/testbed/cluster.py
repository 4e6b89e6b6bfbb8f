"""A cluster file: real devices, and how they are scaled down to this machine.

It says what the real devices are; what is emulated follows from it (``scaling``).  Unknown keys
and values out of bounds are errors that say what would be right, as in a run file.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpiedge.config import parsed, section_of
from mpiedge.errors import BadInput
from mpiedge.settings import setting

NAME = re.compile(r"[a-z]([a-z0-9-]{0,23}[a-z0-9])?")
RESERVED = frozenset({"localhost", "switch"})
MOST_DEVICES = 64


@dataclass(frozen=True)
class Scale:
    """How the emulated cluster relates to the real one; the section ``[scale]``."""

    slowdown: float = setting(1.0, "seconds here for a second of the real devices", above=0)
    core_gflops: float = setting(
        1.0, "GFLOP/s of one core of this machine; with 1, gflops are cores", above=0
    )
    memory: float = setting(1.0, "bytes here for a byte of the real devices", above=0)


@dataclass(frozen=True)
class Kind:
    """One or several equal devices; an entry ``[[device]]``."""

    name: str = setting("", "the host name; of several devices: what stands before -0, -1")
    count: int = setting(1, "how many there are", least=1, most=MOST_DEVICES)
    gflops: float = setting(0.0, "GFLOP/s that one sustains", above=0)
    memory: float = setting(0.0, "GiB of memory that one has for programs", above=0)
    rate: float = setting(0.0, "Mb/s of its link, in each direction", above=0)
    delay: float = setting(0.0, "ms from one such device to another, one way", least=0)


@dataclass(frozen=True)
class Cluster:
    """A cluster by its name, which is its file's, with its scale and its devices."""

    name: str
    scale: Scale
    kinds: tuple[Kind, ...]

    @property
    def members(self) -> tuple[tuple[str, Kind], ...]:
        """Every device by its own name; the first is the one that rank 0 runs on."""
        return tuple(
            (kind.name if kind.count == 1 else f"{kind.name}-{number}", kind)
            for kind in self.kinds
            for number in range(kind.count)
        )


def read(path: Path) -> Cluster:
    """The cluster in a file; raises BadInput."""
    values = parsed(path, "cluster file")
    unknown = [key for key in values if key not in ("scale", "device")]
    if unknown:
        raise BadInput(f"{path}: {unknown[0]} is unknown; known: [scale], [[device]]")
    scale, devices = values.get("scale", {}), values.get("device", [])
    if not isinstance(scale, dict):
        raise BadInput(f"{path}: scale = {scale!r} has to be a section, [scale]")
    if not (isinstance(devices, list) and all(isinstance(each, dict) for each in devices)):
        raise BadInput(f"{path}: write a section [[device]] for every kind of device")
    kinds = tuple(_kind(each, number, path) for number, each in enumerate(devices, start=1))
    cluster = Cluster(name_of(path), section_of(Scale, "scale", scale, str(path)), kinds)
    _check(cluster, path)
    return cluster


def name_of(path: Path) -> str:
    """What the cluster in a file is called: the file's name without its ending."""
    name = path.name.removesuffix(".toml")
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{path}: a cluster is called as its file, and {name!r} is no name for one; "
            "use up to 25 small letters, digits and hyphens"
        )
    return name


def _kind(given: dict[str, Any], number: int, path: Path) -> Kind:
    kind: Kind = section_of(Kind, f"device {number}", given, str(path))
    for key in ("name", "gflops", "memory", "rate"):
        if key not in given:
            raise BadInput(f"{path}: device {number}.{key} is missing")
    if not NAME.fullmatch(kind.name) or kind.name in RESERVED:
        raise BadInput(
            f"{path}: device {number}.name = {kind.name!r} cannot be a host name here; use up to "
            f"25 small letters, digits and hyphens, and none of {', '.join(sorted(RESERVED))}"
        )
    return kind


def _check(cluster: Cluster, path: Path) -> None:
    names = [name for name, _ in cluster.members]
    if len(names) < 2:
        raise BadInput(f"{path}: {len(names)} devices are no cluster; describe two or more")
    if len(names) > MOST_DEVICES:
        raise BadInput(f"{path}: {len(names)} devices are more than the {MOST_DEVICES} allowed")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"{path}: two devices are called {twice[0]}; give each a name of its own")
