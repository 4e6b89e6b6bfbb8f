"""Rank 0 finds the terminal of its launcher."""

import os
import pty
import sys

import pytest

from mpiedge.launch import terminal


def test_no_terminal_no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(terminal.PATH, raising=False)
    with open(os.devnull, "w", encoding="ascii") as nothing:
        monkeypatch.setattr(sys, "stdout", nothing)
        assert terminal.variables(nothing) == {}
        assert terminal.terminal() is None


def test_the_launchers_terminal_reaches_rank_0(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", "57")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    with os.fdopen(theirs, "w") as screen, open(os.devnull, "w", encoding="ascii") as nothing:
        told = terminal.variables(screen)
        assert told == {"MPIEDGE_TERMINAL": "57", "MPIEDGE_TTY": os.ttyname(theirs)}
        monkeypatch.setenv(terminal.PATH, told[terminal.PATH])
        # what a rank writes to under mpirun looks like a terminal and is not one
        monkeypatch.setattr(sys, "stdout", nothing)
        found = terminal.terminal()
        assert found is not None
        with found:
            found.write("\rstep 3")
            found.flush()
        assert os.read(ours, 100) == b"\rstep 3"
    os.close(ours)


def test_a_terminal_that_has_gone_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(terminal.PATH, "/dev/pts/no-such-terminal")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert terminal.terminal() is None


def test_a_process_alone_draws_on_its_own_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMPI_COMM_WORLD_RANK", raising=False)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        monkeypatch.setattr(sys, "stdout", screen)
        assert terminal.terminal() is screen
    os.close(ours)
