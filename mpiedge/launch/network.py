"""Which of this machine's networks leads to the other hosts.

MPI tries every interface it finds, and hangs on one that only looks as if it led there: every
Jetson has the same address on its USB bridge.  So the one subnet that holds the hosts is named.
"""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface

import psutil

from mpiedge.errors import BadInput


def addresses(host: str) -> frozenset[IPv4Address]:
    """A host's IPv4 addresses, as this machine knows them."""
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise BadInput(
            f"the host {host} is not known here ({error.strerror}); correct its name in the "
            "hostfile, use its address, or add it to /etc/hosts"
        ) from error
    return frozenset(IPv4Address(str(entry[4][0])) for entry in found)


def interfaces() -> dict[str, tuple[IPv4Interface, ...]]:
    """This machine's network interfaces by name, with their IPv4 addresses and subnets."""
    return {
        name: tuple(
            IPv4Interface(f"{each.address}/{each.netmask or '255.255.255.255'}")
            for each in entries
            if each.family == socket.AF_INET
        )
        for name, entries in psutil.net_if_addrs().items()
    }


def is_here(host: str) -> bool:
    """Whether a host is the machine this runs on."""
    if host in ("localhost", socket.gethostname()):
        return True
    own = {each.ip for row in interfaces().values() for each in row}
    return any(address.is_loopback or address in own for address in addresses(host))


def subnets(
    hosts: Mapping[str, frozenset[IPv4Address]], own: Sequence[IPv4Interface]
) -> tuple[str, ...]:
    """The fewest of this machine's subnets that hold an address of every host."""
    networks = sorted({each.network for each in own if not each.is_loopback})
    reached = {
        network: {host for host, known in hosts.items() if any(each in network for each in known)}
        for network in networks
    }
    chosen: list[str] = []
    left = set(hosts)
    while left:
        best = max(networks, key=lambda network: len(reached[network] & left), default=None)
        if best is None or not reached[best] & left:
            raise BadInput(
                f"no network of this machine ({', '.join(map(str, networks)) or 'it has none'}) "
                f"holds {', '.join(sorted(left))}; name the one that leads there with --interface"
            )
        chosen.append(str(best))
        left -= reached[best]
    return tuple(chosen)


def checked(interface: str) -> str:
    """What ``--interface`` names, if this machine has it: subnets or interfaces, by commas."""
    known = interfaces()
    held = [each for row in known.values() for each in row]
    for word in interface.split(","):
        if word in known:
            continue
        try:
            network = ipaddress.IPv4Network(word, strict=False)
        except ValueError as error:
            raise BadInput(
                f"--interface {word} is neither a subnet such as 192.168.1.0/24 nor one of this "
                f"machine's interfaces: {', '.join(sorted(known))}"
            ) from error
        if not any(each.ip in network for each in held):
            raise BadInput(
                f"--interface {word}: this machine has no address there, only "
                f"{', '.join(sorted(map(str, held)))}"
            )
    return interface
