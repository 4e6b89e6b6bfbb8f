"""From arguments to an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mpiedge
from mpiedge import __main__ as program
from mpiedge.cli import group
from mpiedge.cli.group import COMMANDS, Entry
from mpiedge.errors import BadInput
from mpiedge.launch import ended
from mpiedge.trace import VARIABLE

HEAVY = "{'torch', 'transformers', 'mpi4py', 'numpy', 'peft'}"


@click.group()
def acts() -> None:
    """Commands that end in every way there is."""


@acts.command()
def refuses() -> None:
    raise BadInput("batch_size is 0; give it at least 1")


@acts.command()
def stops() -> None:
    raise KeyboardInterrupt


@acts.command()
@click.pass_context
def seven(context: click.Context) -> None:
    context.exit(7)


@acts.command()
def leaves() -> None:
    sys.exit(9)


@acts.command()
def fine() -> str:
    return "not an exit code"


@acts.command()
def breaks() -> None:
    raise ZeroDivisionError


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The result file of a launcher, for commands that act."""
    monkeypatch.setattr(program, "group", acts)
    monkeypatch.setattr(program, "COURTESY", 0.0)
    monkeypatch.delenv("OMPI_COMM_WORLD_RANK", raising=False)
    monkeypatch.setenv(ended.VARIABLE, str(tmp_path / "ended"))
    return tmp_path / "ended"


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("refuses", 2, "mpiedge: batch_size is 0; give it at least 1\n"),
        ("stops", 130, "mpiedge: interrupted\n"),
        ("seven", 7, ""),
        ("leaves", 9, ""),
        ("fine", 0, ""),
    ],
)
def test_exit_codes(
    word: str, code: int, said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([word]) == code
    assert capsys.readouterr().err.replace("\n\n", "\n").lstrip("\n") == said
    assert ended.read(place) == code


def test_a_command_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["nothing"]) == 2
    assert "No such command 'nothing'" in capsys.readouterr().err


def test_a_bug_is_shown_and_is_not_a_success(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    assert program.main(["breaks"]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert ended.read(place) == 1


def test_only_rank_0_speaks_and_reports(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    assert program.main(["refuses"]) == 2
    assert program.main(["nothing"]) == 2
    assert capsys.readouterr().err == ""
    assert not place.exists()


def test_the_others_wait_for_rank_0_to_speak(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    monkeypatch.setattr(program, "COURTESY", 3.0)
    monkeypatch.setattr(program, "_mpi_runs", lambda: False)
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "1")
    assert program.main(["fine"]) == 0
    assert waits == []
    assert program.main(["refuses"]) == 2
    assert waits == [3.0]
    monkeypatch.setattr(program, "_mpi_runs", lambda: True)
    assert program.main(["refuses"]) == 2
    assert waits == [3.0]


def imported(*words: str) -> set[str]:
    """The heavy packages that a command line imports."""
    script = (
        "import json, sys\nfrom mpiedge.__main__ import main\n"
        f"main({list(words)!r})\nprint(json.dumps(sorted({HEAVY} & set(sys.modules))))"
    )
    done = subprocess.run(
        (sys.executable, "-c", script), capture_output=True, text=True, timeout=60, check=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("--help",),
        ("launch", "--help"),
        ("train", "--help"),
        ("evaluate", "--help"),
        ("predict", "--help"),
        ("launch", "-n", "2", "--dry-run", "--", "train", "x.toml"),
    ],
)
def test_torch_is_not_imported_without_need(words: tuple[str, ...]) -> None:
    assert imported(*words) == set()


def test_the_version() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "mpiedge", "--version"), capture_output=True, text=True, check=True
    )
    assert done.stdout == f"mpiedge, version {mpiedge.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_the_table_says(name: str) -> None:
    context = click.Context(group.group)
    command = group.group.get_command(context, name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_the_list_of_commands_imports_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "ghost", Entry("mpiedge.cli.ghost:ghost", "It is not there."))
    text = group.group.get_help(click.Context(group.group))
    assert "ghost" in text
    assert "It is not there." in text
