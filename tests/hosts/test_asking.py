"""Machines are asked at once, by an agent in place of ssh, with a deadline."""

import sys
import time
from pathlib import Path

import pytest

from mpiedge.hosts.asking import ask, question
from mpiedge.launch.hostfile import Host
from mpiedge.launch.network import is_here
from mpiedge.version import VERSION

FAR = (Host("far-1", 1), Host("far-2", 1))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpiedge.hosts.asking.is_here", lambda name: name == "localhost")


def agent(folder: Path, text: str) -> tuple[str, ...]:
    """A program in place of ssh, which is given a host's name and a command."""
    program = folder / "agent"
    program.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    program.chmod(0o755)
    return (str(program),)


def test_what_a_machine_says(tmp_path: Path) -> None:
    there, gone = str(tmp_path), str(tmp_path / "it's; gone")
    for answer in ask(FAR, agent(tmp_path, 'exec sh -c "$2"'), [there, gone]):
        assert answer.trouble == ""
        assert answer.facts["versions"]["mpiedge"] == VERSION
        assert answer.facts["missing"] == [gone]
        assert answer.facts["memory"] > 0
        assert abs(answer.offset) < 5


def test_this_machine_is_asked_without_ssh(tmp_path: Path) -> None:
    (answer,) = ask([Host("localhost", 2)], ("/no/such/ssh",), [])
    assert answer.facts["program"] == sys.executable


def test_all_are_asked_at_once_and_none_is_waited_for(tmp_path: Path) -> None:
    start = time.monotonic()
    answers = ask(FAR, agent(tmp_path, "exec sleep 30"), [], patience=0.5)
    assert time.monotonic() - start < 10
    assert [answer.trouble for answer in answers] == ["no answer within 0 s"] * 2


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("echo 'Permission denied' >&2; exit 255", "it answered: Permission denied"),
        ("exit 1", "it answered: nothing"),
        ("echo '[1, 2]'", "it answered: [1, 2]"),
        ("""echo '{"time": 1}'""", 'it answered: {"time": 1}'),
        ("printf '\\377 banner'", "it answered: \ufffd banner"),
    ],
)
def test_what_is_no_answer(text: str, trouble: str, tmp_path: Path) -> None:
    (answer,) = ask(FAR[:1], agent(tmp_path, text), [])
    assert (answer.facts, answer.trouble) == ({}, trouble)


def test_no_ssh_at_all() -> None:
    (answer,) = ask(FAR[:1], ("/no/such/ssh",), [])
    assert answer.trouble == "/no/such/ssh cannot be run: No such file or directory"


def test_names_of_files_are_no_commands() -> None:
    assert question(["/a; rm -rf b"]).count("'/a; rm -rf b'") == 2


def test_a_name_that_nobody_knows_is_one_machines_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpiedge.hosts.asking.is_here", is_here)
    hosts = [Host("no-such-host.invalid", 1), Host("localhost", 1)]
    gone, here = ask(hosts, agent(tmp_path, "exit 1"), [])
    assert gone.trouble
    assert here.facts["program"] == sys.executable
