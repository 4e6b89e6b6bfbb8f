"""The commands that make the devices' network."""

from dataclasses import replace

import pytest

from mpiedge.testbed import network
from mpiedge.testbed.names import Names
from mpiedge.testbed.network import Command, Wiring
from tests.testbed.files import BOX, FAR

NAMES = Names("abc123")
HOME, HUB = "mpiedge-abc123-box-0", "mpiedge-abc123-switch"


def lines(commands: list[Command]) -> list[str]:
    return [" ".join(command) for command in commands]


def test_a_kernel_without_netem_needs_the_program_only_for_delays() -> None:
    assert network.wiring([BOX], netem=False) is Wiring.SHAPED
    assert network.wiring([BOX, FAR], netem=False) is Wiring.SWITCHED
    assert network.wiring([BOX, FAR], netem=True) is Wiring.DELAYED


def test_every_device_and_the_switch_have_a_namespace() -> None:
    made = lines(network.namespaces(NAMES, [BOX]))
    assert made[:2] == [f"ip netns add {HUB}", f"ip netns add {HOME}"]
    assert f"ip -n {HOME} link set lo up" in made


def test_a_cable_leads_from_the_device_to_the_bridge() -> None:
    assert lines(network.bridge(NAMES))[0] == f"ip -n {HUB} link add name br0 type bridge"
    assert lines(network.cable(NAMES, BOX)) == [
        f"ip -n {HUB} link add name p0 type veth peer name eth0 netns {HOME}",
        f"ip -n {HUB} link set dev p0 master br0 up",
    ]
    assert lines(network.address(NAMES, BOX))[0].endswith("addr add 10.77.0.10/24 dev eth0")


def test_every_command_stays_in_the_testbeds_own_namespaces() -> None:
    every: list[Command] = [*network.namespaces(NAMES, [BOX]), *network.bridge(NAMES)]
    for how in Wiring:
        every += [*network.cable(NAMES, BOX), *network.plug(NAMES, BOX)]
        every += [*network.shape(NAMES, FAR, how), *network.address(NAMES, BOX)]
        every += [network.connect(NAMES, BOX, how, on=False), network.traffic(NAMES, BOX)]
    for command in every:
        place = command[3] if command[:3] == ("ip", "netns", "add") else command[2]
        assert command[1] in ("-n", "netns")
        assert place.startswith("mpiedge-abc123-")


def test_both_directions_have_the_rate() -> None:
    made = lines(network.shape(NAMES, BOX, Wiring.SHAPED))
    rated = [line for line in made if line.startswith("tc")]
    assert [line.split()[2] for line in rated] == [HOME, HUB]
    assert all(line.endswith("tbf rate 100000000bit burst 16384 latency 50ms") for line in rated)
    assert f"ip -n {HOME} link set dev eth0 gso_max_size 8192" in made


@pytest.mark.parametrize(("rate", "burst"), [(1e6, 16384), (4e8, 50000), (1e10, 131072)])
def test_short_messages_do_not_pass_at_once(rate: float, burst: int) -> None:
    assert network.burst_of(rate) == burst


def test_a_packet_that_passes_two_links_has_the_whole_delay() -> None:
    made = lines(network.shape(NAMES, FAR, Wiring.DELAYED))
    rated = [line for line in made if line.startswith("tc")]
    assert len(rated) == 2
    assert all("netem rate 20000000bit delay 5000us limit 192" in line for line in rated)


def test_the_program_shapes_by_itself() -> None:
    assert network.shape(NAMES, FAR, Wiring.SWITCHED) == []
    assert lines(network.plug(NAMES, FAR))[:2] == [
        f"ip -n {HUB} link set dev p1 netns mpiedge-abc123-far",
        "ip -n mpiedge-abc123-far link set dev p1 name eth0",
    ]


def test_a_cable_is_pulled_where_the_device_does_not_see_it() -> None:
    cut = network.connect(NAMES, BOX, Wiring.SHAPED, on=False)
    assert " ".join(cut) == f"ip -n {HUB} link set dev p0 down"
    back = network.connect(NAMES, replace(BOX, number=7), Wiring.DELAYED, on=True)
    assert " ".join(back) == f"ip -n {HUB} link set dev p7 up"
    assert HOME in network.connect(NAMES, BOX, Wiring.SWITCHED, on=False)


def test_each_part_of_the_kernel_is_tried() -> None:
    assert set(network.probes("trial")) == {"veth", "bridge", "netem", "tbf"}
    assert all("trial" in command for command in network.probes("trial").values())
