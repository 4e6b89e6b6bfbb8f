"""The devices' control groups: where they are, what is written into them and read from them.

Both versions of the kernel's interface, of which a machine has one or the other: version 1 has a
tree for the processor and another for the memory, version 2 has one for both.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpiedge import cgroup
from mpiedge.cgroup import Group
from mpiedge.testbed.scaling import Device

PERIOD = 20_000  # microseconds: shorter than the kernel's 100 ms, so that a device stops less long
LONG_PERIOD = 100_000
LEAST_QUOTA = 1_000  # microseconds, of the kernel
CONTROLLERS = ("cpu", "memory")

Setting = tuple[Path, str]  # a file and what is written there


@dataclass(frozen=True)
class Trees:
    """Where groups can be made: the group that is to hold a testbed's, for each controller."""

    version: int
    cpu: Path
    memory: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """Each of the two, once."""
        return (self.cpu,) if self.version == 2 else (self.cpu, self.memory)

    def of(self, *names: str) -> "Trees":
        """A group below."""
        return Trees(self.version, self.cpu.joinpath(*names), self.memory.joinpath(*names))


def trees() -> Trees | None:
    """Where this process may make groups; none if a controller is missing."""
    cpu, memory = (cgroup.group(each) for each in CONTROLLERS)
    if cpu is None or memory is None:
        return None
    if cpu.version == memory.version == 2:
        above = _sharing(cpu)
        return Trees(2, above, above)
    if cpu.version == memory.version == 1:
        return Trees(1, cpu.path, memory.path)
    return None


def _sharing(own: Group) -> Path:
    """The nearest group that shares both controllers with the groups below it, else the top.

    In version 2 a group with processes in it, as this process's own, cannot be that one.
    """
    for each in cgroup.lineage(own):
        control = each.path / "cgroup.subtree_control"
        with contextlib.suppress(OSError):
            if set(CONTROLLERS) <= set(control.read_text(encoding="ascii").split()):
                return each.path
    return own.top


def share(at: Trees) -> list[Setting]:
    """What lets the groups below a testbed's have limits."""
    if at.version == 1:
        return []
    each = " ".join(f"+{name}" for name in CONTROLLERS)
    control = "cgroup.subtree_control"
    return [(at.cpu.parent / control, each), (at.cpu / control, each)]


def limits(at: Trees, device: Device) -> list[Setting]:
    """What gives a device's group its share of the processor and of the memory."""
    memory = str(device.memory)
    if at.version == 1:
        limit = at.memory / "memory.limit_in_bytes"
        return [(limit, memory), *processor(at, device.cores)]
    return [(at.memory / "memory.max", memory), *processor(at, device.cores)]


def without_swap(at: Trees, device: Device) -> Setting:
    """What keeps a device from swapping; the file is missing where the kernel cannot swap."""
    if at.version == 1:
        return (at.memory / "memory.memsw.limit_in_bytes", str(device.memory))
    return (at.memory / "memory.swap.max", "0")


def processor(at: Trees, cores: float) -> list[Setting]:
    """What limits a group to so many cores."""
    period = PERIOD if cores * PERIOD >= LEAST_QUOTA else LONG_PERIOD
    quota = max(LEAST_QUOTA, round(cores * period))
    if at.version == 2:
        return [(at.cpu / "cpu.max", f"{quota} {period}")]
    # The quota is lifted first: a shorter period alone could ask for more than the machine has.
    return [
        (at.cpu / "cpu.cfs_quota_us", "-1"),
        (at.cpu / "cpu.cfs_period_us", str(period)),
        (at.cpu / "cpu.cfs_quota_us", str(quota)),
    ]


def write(settings: Sequence[Setting]) -> None:
    """Write each in order; raises OSError."""
    for path, value in settings:
        path.write_text(value, encoding="ascii")


def kills(at: Trees) -> int:
    """How many processes the kernel killed in a group because its memory was full."""
    name = "memory.oom_control" if at.version == 1 else "memory.events"
    try:
        words = (at.memory / name).read_text(encoding="ascii").split()
    except OSError:
        return 0
    found = dict(zip(words[::2], words[1::2], strict=False))
    return int(found.get("oom_kill", "0"))


def peak(at: Trees) -> int:
    """The most memory that a group had, in bytes, with what the kernel kept of its files.

    0 where the kernel does not know: version 2 counts it since Linux 5.19.
    """
    name = "memory.max_usage_in_bytes" if at.version == 1 else "memory.peak"
    try:
        return int((at.memory / name).read_text(encoding="ascii"))
    except OSError:
        return 0


def processes(at: Trees) -> list[int]:
    """The processes in a group."""
    found: set[int] = set()
    for folder in at.folders:
        with contextlib.suppress(OSError):
            found.update(map(int, (folder / "cgroup.procs").read_text(encoding="ascii").split()))
    return sorted(found)
