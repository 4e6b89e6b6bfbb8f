"""Which part of what a testbed needs a machine lacks, a line each.

Pure, so that every lack can be tested without having it.
"""

from collections.abc import Sequence

from mpiedge.errors import BadInput
from mpiedge.testbed.machine import TOOLS, Machine
from mpiedge.testbed.network import Wiring, wiring
from mpiedge.testbed.scaling import Device, check_room

PACKAGES = {"ip": "iproute2", "tc": "iproute2", "env": "coreutils"}


def findings(machine: Machine, devices: Sequence[Device] = ()) -> list[str]:
    """What is missing, and the repair; for certain devices, only what they need of it."""
    if not machine.linux:
        return ["this is not Linux; run the testbed on a Linux machine, or in a virtual one"]
    if not machine.root:
        return ["you are not root, who alone may make namespaces and control groups; use sudo"]
    return [*_tools(machine), *_groups(machine), *_kernel(machine), *_delay(machine, devices)]


def check(machine: Machine, cluster: str, devices: Sequence[Device]) -> None:
    """Refuse what this machine cannot emulate; raises BadInput."""
    found = findings(machine, devices)
    if found:
        more = "; 'mpiedge testbed check' says what else" if len(found) > 1 else ""
        raise BadInput(f"the testbed cannot run here: {found[0]}{more}")
    check_room(cluster, devices, machine.cores, machine.memory)


def _tools(machine: Machine) -> list[str]:
    return [
        f"the program {tool} is missing; install the package {PACKAGES.get(tool, 'util-linux')}"
        for tool in TOOLS
        if tool not in machine.tools
    ]


def _groups(machine: Machine) -> list[str]:
    if machine.trees is None:
        return [
            "there are no control groups for cpu and memory, both of version 1 or both of "
            "version 2; mount them at /sys/fs/cgroup"
        ]
    if machine.unwritable:
        return [
            f"control groups are not writable ({machine.unwritable}); in a container, start it "
            "with --privileged and --cgroupns=host"
        ]
    return []


def _kernel(machine: Machine) -> list[str]:
    if "namespaces" in machine.lacks:
        return [
            "network namespaces cannot be made ('ip netns add' fails); in a container, start it "
            "with --privileged"
        ]
    return [
        f"the kernel has no {part}; use one with the module"
        for part in ("veth", "bridge", "tbf")
        if part in machine.lacks
    ]


def _delay(machine: Machine, devices: Sequence[Device]) -> list[str]:
    netem = "netem" not in machine.lacks
    switched = wiring(devices, netem=netem) is Wiring.SWITCHED
    if not switched or machine.tun:
        return []
    return [
        "the kernel can neither delay packets (netem) nor pass them through a program "
        "(/dev/net/tun); use one that can, or links without a delay"
    ]
