"""Commands that are run."""

import sys

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed import shell

SAYS = (sys.executable, "-c", "import sys; print('first\\nlast', file=sys.stderr); sys.exit(3)")


def test_what_failed_is_said_with_its_last_line() -> None:
    assert shell.tried(SAYS) == (3, "last")
    with pytest.raises(BadInput, match="failed: last; 'mpiedge testbed check'"):
        shell.run([("true",), SAYS])


def test_nothing_is_run_after_a_failure() -> None:
    with pytest.raises(BadInput, match="'false' failed: exit code 1"):
        shell.run([("false",), SAYS])


def test_a_program_that_is_not_there() -> None:
    assert shell.tried(("no-such-program",)) == (127, "No such file or directory")
    assert shell.output(("no-such-program",)) == ""


def test_one_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "PATIENCE", 0.1)
    assert shell.tried(("sleep", "20")) == (124, "it did not end in 0.1 s")
    assert shell.output(("sleep", "20")) == ""


def test_what_a_command_prints() -> None:
    assert shell.output(("echo", "a")) == "a\n"
    assert shell.output(SAYS) == ""
