"""Every command's ``--help`` ends with examples, and these name commands and options there are."""

import shlex
from collections.abc import Iterator

import click
import pytest

from mpiedge.cli.group import group

Found = tuple[str, click.Command]


def every(command: click.Command, path: str) -> Iterator[Found]:
    """The commands that do something, each with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from every(found, f"{path} {name}")


COMMANDS = dict(every(group, "mpiedge"))
EXAMPLES = [
    (path, line.strip())
    for path, command in COMMANDS.items()
    for line in (command.epilog or "").splitlines()[2:]
]


@pytest.mark.parametrize("path", COMMANDS)
def test_help_ends_with_examples_of_the_command(path: str) -> None:
    epilog = COMMANDS[path].epilog or ""
    assert epilog.startswith("\b\nExamples:\n")
    assert any(path in line for line in epilog.splitlines()[2:])


@pytest.mark.parametrize(("path", "line"), EXAMPLES)
def test_an_example_is_understood(path: str, line: str) -> None:
    words = shlex.split(line.partition(" > ")[0].partition(" < ")[0])
    while words:
        name = max((one for one in COMMANDS if begins(words, one)), key=len)
        words = understood(COMMANDS[name], words[len(name.split()) :])


def begins(words: list[str], path: str) -> bool:
    return words[: len(path.split())] == path.split()


def understood(command: click.Command, words: list[str]) -> list[str]:
    """What of the words the command would run; raises what click says of a wrong one."""
    context = click.Context(command, resilient_parsing=False)
    given, _, _ = command.make_parser(context).parse_args(list(words))
    inner = given.get("words") or ()
    known = {path.split()[1] for path in COMMANDS}
    return ["mpiedge", *inner] if inner and inner[0] in known else []
