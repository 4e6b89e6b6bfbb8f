"""``mpiedge launch`` as a user meets it."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mpiedge.cli.launch import check, launch
from mpiedge.errors import BadInput


def asked(*words: str) -> Result:
    return CliRunner().invoke(launch, words)


def mpiedge(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(
        (sys.executable, "-m", "mpiedge", *words),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def test_a_dry_run_prints_the_command_on_one_line() -> None:
    result = asked(
        "-n", "3", "--mca", "a", "b c", "--dry-run", "--", "train", "x.toml", "--set", "k=v w"
    )
    assert result.exit_code == 0
    (line,) = result.output.splitlines()
    words = shlex.split(line)
    assert words[0].endswith("/mpirun")
    assert words[-5:] == ["mpiedge", "train", "x.toml", "--set", "k=v w"]
    assert words[words.index("-n") + 1] == "3"
    assert words[words.index("a") + 1] == "b c"


def test_the_hostfiles_of_the_repository_can_be_read() -> None:
    folder = Path(__file__).parents[2] / "hostfiles"
    result = asked("--hostfile", str(folder / "local"), "--dry-run", "--", "doctor")
    assert "-n 4" in result.output
    example = asked("--hostfile", str(folder / "jetson-4"), "--dry-run", "--", "doctor")
    assert isinstance(example.exception, BadInput)
    assert "jetson-0" in str(example.exception)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "launch what"),
        (("trian", "x.toml"), "'trian' is not a command that launch can run; it runs train,"),
        (("launch",), "'launch' is not a command"),
        (("python", "x.py"), "'python' is not a command"),
    ],
)
def test_only_commands_of_mpiedge_are_launched(words: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        check(words)


def test_bad_input_of_all_ranks_is_said_once_and_is_the_exit_code() -> None:
    result = mpiedge("launch", "-n", "2", "--", "doctor", "--nonsense")
    assert result.returncode == 2
    assert result.stderr.count("No such option") == 1
    assert "prterun" not in result.stderr
    assert result.stdout == ""


def test_the_ranks_of_a_job_see_their_launcher() -> None:
    result = mpiedge("launch", "-n", "2", "--", "--version")
    assert result.returncode == 2
    result = mpiedge("launch", "-n", "2", "--", "settings", "--help")
    assert result.returncode == 0
    assert "Usage: mpiedge settings" in result.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ((), "say how many ranks"),
        (("-n", "0"), "-n 0 is not a number of ranks"),
        (("--hostfile", "no-such-file"), "cannot read the hostfile no-such-file"),
    ],
)
def test_what_cannot_be_started_is_one_line(options: tuple[str, ...], complaint: str) -> None:
    result = mpiedge("launch", *options, "--", "train", "x.toml")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("mpiedge: ")
    assert complaint in line
