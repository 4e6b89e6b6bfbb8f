"""Names of what a testbed makes."""

from mpiedge.testbed.names import Names, drawn


def test_every_name_carries_the_token() -> None:
    names = Names("abc123")
    every = [names.group, names.scratch, names.switch, names.namespace("box-0")]
    assert all("abc123" in name for name in every)
    assert len(set(every)) == 4


def test_no_two_testbeds_have_the_same_names() -> None:
    assert len({drawn() for _ in range(20)}) == 20
