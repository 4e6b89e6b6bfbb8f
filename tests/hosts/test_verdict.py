"""What is said of machines that answered, and of those that did not."""

from typing import Any

import pytest

from mpiedge.hosts.asking import Answer
from mpiedge.hosts.verdict import verdicts

GOOD: dict[str, Any] = {
    "host": "pi-1",
    "python": "3.11.7",
    "program": "/env/bin/python",
    "versions": {"mpiedge": "1.0", "torch": "2.13", "transformers": "5", "mpi4py": "4"},
    "missing": [],
    "time": 0.0,
    "memory": 4 * 2**30,
    "disk": 20 * 2**30,
    "networks": [["lo", "127.0.0.1", "255.0.0.0"], ["eth0", "10.0.0.7", "255.255.255.0"]],
}


def problems(offset: float = 0.0, **changes: Any) -> tuple[str, ...]:
    (found,) = verdicts([Answer("pi-1", {**GOOD, **changes}, offset=offset)], "1.0")
    return found.problems


def test_a_machine_that_has_all() -> None:
    (found,) = verdicts([Answer("pi-1", GOOD)], "1.0")
    assert found.problems == ()
    assert found.line == (
        "Python 3.11.7, mpiedge 1.0, torch 2.13, 4.0 GiB of memory and 20.0 GiB of disk free"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"versions": {**GOOD["versions"], "torch": ""}},
            "torch is not installed: on a Jetson NVIDIA's own, else /env/bin/python -m pip install "
            "torch",
        ),
        (
            {"versions": {**GOOD["versions"], "mpi4py": ""}},
            "mpi4py is not installed: /env/bin/python -m pip install mpi4py",
        ),
        ({"python": "3.8.10"}, "Python 3.8.10 is older than 3.10: install 3.10 or newer"),
        (
            {"versions": {**GOOD["versions"], "mpiedge": "0.9"}},
            "mpiedge is 0.9, and here it is 1.0: install one version everywhere",
        ),
        ({"missing": ["/models/bert"]}, "/models/bert is not there: copy it to that place"),
        ({"offset": -60.0}, "its clock is 60 s behind: timedatectl set-ntp true"),
        ({"offset": 7.0}, "its clock is 7 s ahead"),
        ({"disk": 2**20}, "less than 1 GiB of disk is free"),
        ({"memory": 2**20}, "less than 0.5 GiB of memory is free"),
    ],
)
def test_each_illness_and_its_mend(changes: dict[str, Any], said: str) -> None:
    (found,) = problems(**changes)
    assert found.startswith(said)


def test_memory_that_is_not_known_is_no_illness() -> None:
    assert problems(memory=0) == ()


def test_a_machine_that_does_not_answer() -> None:
    (found,) = verdicts([Answer("pi-1", {}, "no answer within 15 s")], "1.0")
    assert found.line == "does not answer"
    assert found.problems == (
        "no answer within 15 s; try: ssh pi-1 true; it has to work without a password",
    )


def at(name: str, *networks: tuple[str, str]) -> Answer:
    told = [[interface, address, "255.255.255.0"] for interface, address in networks]
    return Answer(name, {**GOOD, "networks": told})


def test_the_network_that_leads_to_the_others_is_named() -> None:
    usb = ("l4tbr0", "192.168.55.1")
    machines = (
        at("a", usb, ("eth0", "10.0.0.1"), ("wlan0", "192.168.1.1")),
        at("b", usb, ("enp1", "10.0.0.2"), ("wlan0", "192.168.1.2")),
        at("c", usb, ("eth0", "10.0.0.3")),
    )
    found = verdicts(machines, "1.0")
    assert [one.network for one in found] == [
        "eth0 10.0.0.1/24",
        "enp1 10.0.0.2/24",
        "eth0 10.0.0.3/24",
    ]
    assert found[0].line.endswith("of disk free, eth0 10.0.0.1/24")
    for one in found:
        assert one.problems == ()
        (note,) = one.notes
        assert note.startswith("l4tbr0 192.168.55.1/24 is an address of other machines, too")


def test_a_machine_in_a_network_of_its_own() -> None:
    machines = (
        at("a", ("eth0", "10.0.0.1")),
        at("b", ("eth0", "10.0.0.2")),
        at("c", ("eth0", "10.0.9.3")),
    )
    a, b, c = verdicts(machines, "1.0")
    assert a.problems[0].startswith("it has no network in common with c: connect all machines")
    assert b.network == "eth0 10.0.0.2/24"
    assert c.problems[0].startswith("it has no network in common with a, b: ")
    assert c.network == ""


def test_a_bridge_alone_is_no_network() -> None:
    machines = (at("a", ("usb0", "192.168.55.1")), at("b", ("usb0", "192.168.55.1")))
    for one, other in zip(verdicts(machines, "1.0"), "ba", strict=True):
        assert one.problems[0].startswith(f"it has no network in common with {other}: ")
