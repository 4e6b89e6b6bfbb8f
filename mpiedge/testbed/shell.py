"""Where the testbed's commands are run: the one place that starts ``ip`` and ``tc``."""

import subprocess
from collections.abc import Iterable, Sequence

from mpiedge.errors import BadInput

PATIENCE = 30.0  # seconds that one of them may take


def run(commands: Iterable[Sequence[str]]) -> None:
    """Run commands in order; raises BadInput with what the first that failed had to say."""
    for command in commands:
        code, said = tried(command)
        if code:
            raise BadInput(
                f"'{' '.join(command)}' failed: {said or f'exit code {code}'}; "
                "'mpiedge testbed check' says what this machine lacks"
            )


def tried(command: Sequence[str]) -> tuple[int, str]:
    """A command's exit code and the last line that it said."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except OSError as error:
        return 127, str(error.strerror)
    except subprocess.TimeoutExpired:
        return 124, f"it did not end in {PATIENCE:g} s"
    lines = (done.stderr or done.stdout).strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def output(command: Sequence[str]) -> str:
    """What a command prints; nothing if it fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
