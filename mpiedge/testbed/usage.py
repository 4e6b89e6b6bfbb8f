"""What the devices of a testbed have used, for a person and for a program."""

import json
from dataclasses import asdict, dataclass

from mpiedge.testbed import groups, network, scripts, shell
from mpiedge.testbed.scaling import Device
from mpiedge.testbed.standing import Standing


@dataclass(frozen=True)
class Usage:
    """What a device has used since its testbed was made."""

    peak_memory_bytes: int  # with what the kernel kept of its files; 0: not known
    sent_bytes: int  # over its link
    received_bytes: int
    memory_kills: int  # processes that the kernel killed because the memory was full


def used(standing: Standing) -> list[Usage]:
    """What every device of a testbed has used, in their order."""
    return [_used(standing, device) for device in standing.devices]


def report(standing: Standing, code: int, seconds: float) -> str:
    """A run as JSON: its exit code, its time, the faults, and every device with its usage."""
    log = standing.events.read_text(encoding="utf-8") if standing.events.exists() else ""
    devices = [
        {**asdict(device), **asdict(used)}
        for device, used in zip(standing.devices, used(standing), strict=True)
    ]
    values = {
        "cluster": standing.cluster,
        "wiring": standing.wiring.value,
        "exit_code": code,
        "seconds": seconds,
        "faults": [json.loads(text) for text in log.splitlines()],
        "devices": devices,
    }
    return json.dumps(values, indent=2) + "\n"


def lines(standing: Standing) -> list[str]:
    """A testbed in lines."""
    owner = standing.owner
    state = "stands until it is taken down"
    if owner is not None:
        state = f"belongs to process {owner.pid}" if owner.lives else "is left of a killed command"
    found = [f"{standing.cluster}: {state}; links by {standing.wiring.value}; {standing.folder}"]
    for device, usage in zip(standing.devices, used(standing), strict=True):
        running = len(groups.processes(standing.group_of(device)))
        power = ", no power" if scripts.dead(standing.folder, device.name).exists() else ""
        found.append(
            f"  {share(device)}; {running} processes, at most "
            f"{usage.peak_memory_bytes / 2**20:.0f} MiB used, {usage.sent_bytes} bytes sent, "
            f"{usage.received_bytes} received, {usage.memory_kills} killed for memory{power}"
        )
    return found


def share(device: Device) -> str:
    """A device's share of this machine, in words."""
    delay = f", {device.delay * 1e3:.1f} ms" if device.delay else ""
    return (
        f"{device.name} {device.address}: {device.cores:.2f} cores, "
        f"{device.memory / 2**20:.0f} MiB, {device.rate / 1e6:.1f} Mb/s{delay}"
    )


def _used(standing: Standing, device: Device) -> Usage:
    at = standing.group_of(device)
    said = shell.output(network.traffic(standing.names, device))
    counts = json.loads(said)[0]["stats64"] if said else {}
    return Usage(
        peak_memory_bytes=groups.peak(at),
        sent_bytes=counts.get("tx", {}).get("bytes", 0),
        received_bytes=counts.get("rx", {}).get("bytes", 0),
        memory_kills=groups.kills(at),
    )
