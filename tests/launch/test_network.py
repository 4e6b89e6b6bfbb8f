"""Which network leads to the other hosts."""

import socket
from ipaddress import IPv4Address, IPv4Interface

import pytest

from mpiedge.errors import BadInput
from mpiedge.launch import network

LOOPBACK = IPv4Interface("127.0.0.1/8")
LAN = IPv4Interface("192.168.1.10/24")
USB = IPv4Interface("192.168.55.1/24")
LAB = IPv4Interface("10.77.0.2/16")


def known(**hosts: str) -> dict[str, frozenset[IPv4Address]]:
    return {name: frozenset(map(IPv4Address, text.split())) for name, text in hosts.items()}


def test_the_subnet_that_holds_the_hosts_is_chosen_and_not_the_usb_bridge() -> None:
    hosts = known(a="192.168.1.11", b="192.168.1.12 192.168.55.1")
    assert network.subnets(hosts, [LOOPBACK, USB, LAN, LAB]) == ("192.168.1.0/24",)


def test_two_subnets_when_one_does_not_hold_all_hosts() -> None:
    hosts = known(a="192.168.1.11", b="10.77.3.4")
    assert sorted(network.subnets(hosts, [LAN, LAB])) == ["10.77.0.0/16", "192.168.1.0/24"]


@pytest.mark.parametrize("own", [[LOOPBACK], [LOOPBACK, LAN]])
def test_a_host_that_no_network_holds(own: list[IPv4Interface]) -> None:
    with pytest.raises(BadInput, match="holds far; name the one that leads there"):
        network.subnets(known(far="172.16.0.1"), own)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "interfaces", lambda: {"eth0": (LAN,), "usb0": (USB,)})


def test_the_interfaces_of_this_machine() -> None:
    assert LOOPBACK in network.interfaces()["lo"]


@pytest.mark.usefixtures("board")
def test_this_machine_is_recognised() -> None:
    assert network.is_here("localhost")
    assert network.is_here(socket.gethostname())
    assert network.is_here("127.0.0.1")
    assert network.is_here("192.168.1.10")
    assert not network.is_here("192.168.1.11")


def test_an_unknown_host() -> None:
    with pytest.raises(BadInput, match="no-such-host.invalid is not known here"):
        network.addresses("no-such-host.invalid")


@pytest.mark.usefixtures("board")
def test_an_interface_can_be_named_by_name_or_subnet() -> None:
    for word in ("eth0", "192.168.1.0/24", "192.168.0.0/16,usb0"):
        assert network.checked(word) == word


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize(
    ("word", "complaint"),
    [("nonsense9", "neither a subnet"), ("192.168.2.0/24", "this machine has no address there")],
)
def test_an_interface_that_is_not_there(word: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        network.checked(word)
