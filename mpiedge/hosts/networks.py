"""The networks over which machines reach one another, and those that only look as if they did.

Every Jetson has the address 192.168.55.1 on its USB bridge: a subnet on which several machines have
the same address leads from none of them to another.
"""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network
from typing import NamedTuple

Addresses = Mapping[str, IPv4Interface]  # of a machine, by the name of the interface


class Place(NamedTuple):
    """Where a machine is in a network."""

    interface: str
    address: IPv4Interface

    def __str__(self) -> str:
        return f"{self.interface} {self.address}"


def read(entries: Sequence[Sequence[str]]) -> dict[str, IPv4Interface]:
    """Addresses as a machine told them: name, address, mask; raises ValueError."""
    found = {name: IPv4Interface(f"{address}/{mask}") for name, address, mask in entries}
    return {name: each for name, each in found.items() if not each.is_loopback}


def shared(machines: Mapping[str, Addresses]) -> dict[str, Place]:
    """For each machine its place in the network that leads to the most of the others."""
    counts: dict[IPv4Network, set[str]] = {}
    for name, addresses in machines.items():
        for each in addresses.values():
            if _alone(each, machines):
                counts.setdefault(each.network, set()).add(name)
    found = {}
    for name, addresses in machines.items():
        places = [
            Place(interface, each)
            for interface, each in addresses.items()
            if len(counts.get(each.network, ())) > 1 and name in counts[each.network]
        ]
        if places:
            found[name] = max(places, key=lambda place: len(counts[place.address.network]))
    return found


def apart(machines: Mapping[str, Addresses]) -> dict[str, tuple[str, ...]]:
    """For each machine the others with which it has no network in common."""
    networks = {
        name: {each.network for each in addresses.values() if _alone(each, machines)}
        for name, addresses in machines.items()
    }
    return {
        name: tuple(other for other in machines if other != name and not mine & networks[other])
        for name, mine in networks.items()
    }


def bridges(machines: Mapping[str, Addresses]) -> dict[str, tuple[Place, ...]]:
    """For each machine the addresses that others have, too."""
    return {
        name: tuple(
            Place(interface, each)
            for interface, each in addresses.items()
            if not _alone(each, machines)
        )
        for name, addresses in machines.items()
    }


def _alone(address: IPv4Interface, machines: Mapping[str, Addresses]) -> bool:
    """Whether one machine only has this address."""
    having = (
        any(each.ip == address.ip for each in addresses.values()) for addresses in machines.values()
    )
    return sum(having) == 1
