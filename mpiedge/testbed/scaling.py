"""From real devices to their shares of this machine: the scaling rule.

The emulated cluster is ``slowdown`` times slower than the real one in everything that takes time,
so that what a plan gains or loses on it is what it would gain or lose on the real one:

    share of a core = gflops / (core_gflops * slowdown)
    rate of a link  = rate / slowdown
    delay of a link = delay * slowdown

A second measured here stands for ``1 / slowdown`` of a second there.  Memory takes no time and
has a scale of its own.  The rule is our design.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mpiedge.errors import BadInput
from mpiedge.testbed.cluster import Cluster, Kind, Scale

LEAST_CORES = 0.01  # of a core: the kernel's smallest quota, 1 ms, in its usual period
LEAST_MEMORY = 16 * 2**20  # bytes; less than an interpreter needs
LEAST_RATE = 1e5  # bits per second
NETWORK = "10.77.0"
FIRST_ADDRESS = 10


@dataclass(frozen=True)
class Device:
    """An emulated device."""

    name: str
    number: int
    cores: float  # of this machine
    memory: int  # bytes
    rate: float  # bits per second, each way
    delay: float  # seconds to an equal device, one way

    @property
    def address(self) -> str:
        """Its address in the cluster's own network."""
        return f"{NETWORK}.{FIRST_ADDRESS + self.number}"

    @property
    def threads(self) -> int:
        """How many threads can work at once on its share of the cores."""
        return math.ceil(self.cores - 1e-9)


def scaled(cluster: Cluster) -> tuple[Device, ...]:
    """The emulated devices of a cluster; raises BadInput for shares that no kernel can give."""
    return tuple(
        _checked(_device(name, number, kind, cluster.scale), cluster)
        for number, (name, kind) in enumerate(cluster.members)
    )


def check_room(cluster: str, devices: Sequence[Device], cores: int, memory: int) -> None:
    """Refuse a cluster that is larger than a machine with so many cores and bytes."""
    asked = sum(device.memory for device in devices)
    if asked > memory:
        raise BadInput(
            f"the devices of {cluster} have {asked / 2**30:.1f} GiB of memory together, more than "
            f"the {memory / 2**30:.1f} GiB of this machine; multiply scale.memory by "
            f"{_floor(memory / asked)}, or take devices out"
        )
    taken = sum(device.cores for device in devices)
    if taken > cores * 1.001:
        raise BadInput(
            f"the devices of {cluster} take {taken:.2f} cores together, more than the {cores} of "
            f"this machine; multiply scale.slowdown by {_ceil(taken / cores)}, or take devices out"
        )


def _device(name: str, number: int, kind: Kind, scale: Scale) -> Device:
    return Device(
        name=name,
        number=number,
        cores=kind.gflops / (scale.core_gflops * scale.slowdown),
        memory=int(kind.memory * 2**30 * scale.memory),
        rate=kind.rate * 1e6 / scale.slowdown,
        delay=kind.delay / 1e3 * scale.slowdown,
    )


def _checked(device: Device, cluster: Cluster) -> Device:
    where = f"{cluster.name}: {device.name}"
    if device.cores < LEAST_CORES:
        raise BadInput(
            f"{where} would have {device.cores:.4f} of a core, less than the kernel's "
            f"{LEAST_CORES}; lower scale.slowdown ({cluster.scale.slowdown:g}) or raise gflops"
        )
    if device.memory < LEAST_MEMORY:
        raise BadInput(
            f"{where} would have {device.memory / 2**20:.1f} MiB of memory, less than the "
            f"{LEAST_MEMORY // 2**20} MiB that a program needs; raise its memory or scale.memory"
        )
    if device.rate < LEAST_RATE:
        raise BadInput(
            f"{where} would have a link of {device.rate / 1e3:.1f} kb/s, less than "
            f"{LEAST_RATE / 1e3:g}; raise its rate or lower scale.slowdown"
        )
    return device


def _floor(ratio: float) -> float:
    return math.floor(ratio * 100) / 100


def _ceil(ratio: float) -> float:
    return math.ceil(ratio * 100) / 100
