"""What this machine has, and who may ask."""

from pathlib import Path

import pytest

from mpiedge.testbed import machine
from mpiedge.testbed.groups import Trees
from mpiedge.testbed.machine import TOOLS, look


def test_a_look_without_a_trial_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> tuple[int, str]:
        raise AssertionError("a command was run")

    monkeypatch.setattr(machine.shell, "tried", refuse)
    found = look(trial=False)
    assert found.lacks == frozenset()
    assert found.tools <= set(TOOLS)
    assert found.cores >= 1
    assert found.memory > 2**20


def test_a_user_is_not_let_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(machine.shell, "tried", lambda _: (1, "no"))
    found = look(trial=True)
    assert not found.root
    assert found.lacks == frozenset()


@pytest.mark.parametrize(
    ("refused", "lacks"),
    [(("netem",), {"netem"}), (("add", "trial"), set()), (("netns", "add"), {"namespaces"})],
)
def test_what_fails_is_lacking(
    monkeypatch: pytest.MonkeyPatch, refused: tuple[str, ...], lacks: set[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    def tried(command: tuple[str, ...]) -> tuple[int, str]:
        ran.append(command)
        return (2 if set(refused) <= set(command) else 0), ""

    monkeypatch.setattr(machine.shell, "tried", tried)
    assert machine._lacks() == lacks
    if lacks != {"namespaces"}:
        assert ran[-1][:3] == ("ip", "netns", "delete")


def test_a_group_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    assert machine._unwritable(Trees(1, tmp_path, tmp_path / "none")).startswith(
        f"{tmp_path / 'none'}/mpiedge-"
    )
    assert list(tmp_path.iterdir()) == []
