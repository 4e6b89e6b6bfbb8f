"""What a machine may lack."""

from dataclasses import replace

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed.findings import check, findings
from mpiedge.testbed.machine import TOOLS, Machine
from tests.testbed.files import BOX, FAR, FIT


def test_a_machine_that_has_all() -> None:
    assert findings(FIT) == []
    assert findings(FIT, [BOX, FAR]) == []
    check(FIT, "pair", [BOX, FAR])


@pytest.mark.parametrize(
    ("machine", "complaint"),
    [
        (replace(FIT, linux=False), "this is not Linux; "),
        (replace(FIT, root=False), "you are not root"),
        (replace(FIT, tools=frozenset(TOOLS) - {"ip"}), "program ip is missing; .* iproute2"),
        (replace(FIT, tools=frozenset(TOOLS) - {"tc"}), "program tc is missing; .* iproute2"),
        (replace(FIT, tools=frozenset(TOOLS) - {"nsenter"}), "nsenter is missing; .* util-linux"),
        (replace(FIT, trees=None), "no control groups for cpu and memory"),
        (replace(FIT, unwritable="/x: Read-only"), r"not writable \(/x: Read-only\); "),
        (replace(FIT, lacks=frozenset({"namespaces"})), "network namespaces cannot be made"),
        (replace(FIT, lacks=frozenset({"tbf", "netem"})), "the kernel has no tbf"),
        (replace(FIT, lacks=frozenset({"veth"})), "the kernel has no veth"),
    ],
)
def test_each_lack_is_one_line(machine: Machine, complaint: str) -> None:
    (found,) = findings(machine)
    assert "\n" not in found
    with pytest.raises(BadInput, match=f"the testbed cannot run here: .*{complaint}"):
        check(machine, "pair", [BOX])


def test_who_is_not_root_is_told_so_alone() -> None:
    assert len(findings(replace(FIT, root=False, tools=frozenset()))) == 1


def test_several_lacks_are_all_listed() -> None:
    bare = replace(FIT, tools=frozenset(), unwritable="/x: no")
    assert len(findings(bare)) == len(TOOLS) + 1
    with pytest.raises(BadInput, match="'mpiedge testbed check' says what else"):
        check(bare, "pair", [BOX])


def test_a_delay_needs_netem_or_the_program() -> None:
    without = replace(FIT, tun=False)
    assert findings(without, [BOX]) == []
    (found,) = findings(without, [BOX, FAR])
    assert "neither delay packets (netem) nor pass them through a program" in found
    assert findings(replace(without, lacks=frozenset()), [BOX, FAR]) == []


def test_a_cluster_has_to_fit() -> None:
    with pytest.raises(BadInput, match="more than the 0.2 GiB of this machine"):
        check(replace(FIT, memory=2**28), "pair", [BOX, FAR])
    with pytest.raises(BadInput, match="more than the 1 of this machine"):
        check(replace(FIT, cores=1), "pair", [BOX, replace(FAR, cores=0.6)])
