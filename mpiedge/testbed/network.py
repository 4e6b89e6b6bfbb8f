"""The devices' network, as the commands that make and change it.

    device 0  eth0 ---- p0 \\
    device 1  eth0 ---- p1  > a bridge, in a namespace of its own
    device 2  eth0 ---- p2 /

Pure, so that every command can be tested without root.  A link is shaped at both of its ends, one
for each direction.  Nothing of it is to be seen outside the namespaces, so the addresses cannot
collide with the machine's own.
"""

from collections.abc import Sequence
from enum import Enum

from mpiedge.testbed.names import Names
from mpiedge.testbed.scaling import NETWORK, Device

Command = tuple[str, ...]

SUBNET = f"{NETWORK}.0/24"
LEAST_BURST = 16 * 1024  # bytes; below, the kernel's timers cannot keep the rate
MOST_BURST = 128 * 1024  # bytes; above, short messages pass at full speed
BURST_TIME = 0.001  # seconds of the rate
QUEUE_TIME = 0.05  # seconds that a packet may wait at the end of a link
PACKET = 1500  # bytes


class Wiring(str, Enum):
    """How links get their rate and their delay."""

    SHAPED = "tbf"  # a rate alone
    DELAYED = "netem"  # rate and delay, by the kernel
    SWITCHED = "switch"  # rate and delay, by a program: for kernels without netem


def wiring(devices: Sequence[Device], *, netem: bool) -> Wiring:
    """How to wire these devices on a machine that has netem or not."""
    if not any(device.delay for device in devices):
        return Wiring.SHAPED
    return Wiring.DELAYED if netem else Wiring.SWITCHED


def namespaces(names: Names, devices: Sequence[Device]) -> list[Command]:
    """Make the namespaces of the switch and of every device."""
    every = [names.switch, *(names.namespace(device.name) for device in devices)]
    made: list[Command] = [("ip", "netns", "add", each) for each in every]
    return made + [("ip", "-n", each, "link", "set", "lo", "up") for each in every]


def bridge(names: Names) -> list[Command]:
    """Make the bridge that stands for the switch."""
    ip = ("ip", "-n", names.switch, "link")
    return [(*ip, "add", "name", "br0", "type", "bridge"), (*ip, "set", "dev", "br0", "up")]


def cable(names: Names, device: Device) -> list[Command]:
    """Lay a device's cable to the bridge."""
    ip = ("ip", "-n", names.switch, "link")
    port = _port(device)
    own = names.namespace(device.name)
    return [
        (*ip, "add", "name", port, "type", "veth", "peer", "name", "eth0", "netns", own),
        (*ip, "set", "dev", port, "master", "br0", "up"),
    ]


def plug(names: Names, device: Device) -> list[Command]:
    """Give a device the port that the program made, in place of a cable to the bridge."""
    port, own = _port(device), names.namespace(device.name)
    return [
        ("ip", "-n", names.switch, "link", "set", "dev", port, "netns", own),
        ("ip", "-n", own, "link", "set", "dev", port, "name", "eth0"),
        ("ip", "-n", own, "link", "set", "dev", "eth0", "txqueuelen", "1000"),
    ]


def address(names: Names, device: Device) -> list[Command]:
    """Give a device its address."""
    ip = ("ip", "-n", names.namespace(device.name))
    return [
        (*ip, "addr", "add", f"{device.address}/24", "dev", "eth0"),
        (*ip, "link", "set", "dev", "eth0", "up"),
    ]


def shape(names: Names, device: Device, how: Wiring) -> list[Command]:
    """Give a device's link its rate, and its delay where there is one, at both ends."""
    if how is Wiring.SWITCHED:
        return []
    ends = ((names.namespace(device.name), "eth0"), (names.switch, _port(device)))
    burst = burst_of(device.rate)
    commands: list[Command] = []
    for where, name in ends:
        # Large segments would pass at once, as long as the bucket is full.
        small = ("ip", "-n", where, "link", "set", "dev", name, "gso_max_size", str(burst // 2))
        add = ("tc", "-n", where, "qdisc", "add", "dev", name, "root")
        commands += [small, (*add, *_discipline(device, how, burst))]
    return commands


def connect(names: Names, device: Device, how: Wiring, *, on: bool) -> Command:
    """Plug a device's cable in, or pull it; what runs on the device goes on."""
    state = "up" if on else "down"
    if how is Wiring.SWITCHED:
        return ("ip", "-n", names.namespace(device.name), "link", "set", "dev", "eth0", state)
    return ("ip", "-n", names.switch, "link", "set", "dev", _port(device), state)


def traffic(names: Names, device: Device) -> Command:
    """Ask for the bytes that went over a device's link, as JSON."""
    own = names.namespace(device.name)
    return ("ip", "-n", own, "-j", "-s", "link", "show", "dev", "eth0")


def probes(namespace: str) -> dict[str, Command]:
    """What tells whether the kernel has each part, tried in a namespace made for it."""
    link = ("ip", "-n", namespace, "link", "add", "name")
    qdisc = ("tc", "-n", namespace, "qdisc", "add", "dev", "v0", "root")
    return {
        "veth": (*link, "v0", "type", "veth", "peer", "name", "v1"),
        "bridge": (*link, "br0", "type", "bridge"),
        "netem": (*qdisc, "netem", "delay", "1ms"),
        "tbf": ("tc", "-n", namespace, "qdisc", "replace", "dev", "v0", "root")
        + ("tbf", "rate", "1mbit", "burst", "16kb", "latency", "50ms"),
    }


def burst_of(rate: float) -> int:
    """Bytes that may pass at once at a rate in bits per second."""
    return int(min(max(rate / 8 * BURST_TIME, LEAST_BURST), MOST_BURST))


def _discipline(device: Device, how: Wiring, burst: int) -> Command:
    rate = f"{round(device.rate)}bit"
    if how is Wiring.SHAPED:
        latency = f"{round(QUEUE_TIME * 1e3)}ms"
        return ("tbf", "rate", rate, "burst", str(burst), "latency", latency)
    half = device.delay / 2  # each way passes the sender's link and the receiver's
    waiting = round(device.rate / 8 * (half + QUEUE_TIME) / PACKET) + 100
    return ("netem", "rate", rate, "delay", f"{half * 1e6:.0f}us", "limit", str(waiting))


def _port(device: Device) -> str:
    return f"p{device.number}"
