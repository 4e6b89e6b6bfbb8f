"""A shell completes commands and options, without torch being loaded for it."""

import subprocess
import sys

import pytest

from tests.mpirun import environment


@pytest.mark.parametrize(
    ("words", "found"),
    [("mpiedge tr", "plain,train"), ("mpiedge train --res", "plain,--resume")],
)
def test_words_are_completed(words: str, found: str) -> None:
    program = "import sys; from mpiedge.cli.group import group; group(prog_name='mpiedge')"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program],
        env={
            **environment(),
            "_MPIEDGE_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [found]
    assert " torch\n" not in done.stderr
