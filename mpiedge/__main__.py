"""``mpiedge`` and ``python -m mpiedge``: from arguments to an exit code.

Ranks that are started together make the same mistake together, so only rank 0 speaks of it, and
the others give it the time to: mpirun kills everybody as soon as one rank has left with an error.
"""

import os
import sys
import time
from collections.abc import Sequence

import click

from mpiedge.cli.group import group
from mpiedge.errors import BadInput, DiskError, Stopped
from mpiedge.launch import ended
from mpiedge.launch.rank import rank_of
from mpiedge.trace import told

BAD_INPUT = 2
FAILED, INTERRUPTED = 1, 130
COURTESY = 10.0  # seconds the others wait for rank 0 to have said what is wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process."""
    rank = rank_of(os.environ)
    try:
        code = run(arguments, speaks=not rank)
    except BaseException:
        if not rank:
            ended.report(1)
        raise
    if not rank:
        ended.report(code)
    if rank and code and not _mpi_runs():
        time.sleep(COURTESY)
    return code


def run(arguments: Sequence[str] | None, *, speaks: bool) -> int:
    """Run one command; what the user did wrong becomes one line and an exit code."""
    try:
        result = group.main(args=arguments, prog_name="mpiedge", standalone_mode=False)
    except click.ClickException as error:
        if speaks:
            error.show()
        return error.exit_code
    except BadInput as error:
        return _say(str(error), BAD_INPUT, speaks)
    except (Stopped, DiskError) as known:  # what one rank's disk alone does, that one says
        return _say(str(known), known.code, speaks or isinstance(known, DiskError))
    except (KeyboardInterrupt, click.Abort):
        return _say("interrupted", INTERRUPTED, speaks)
    except Exception as failure:
        return _say(told(failure), FAILED, speaks=True)  # it may be this rank's alone
    except SystemExit as left:
        result = left.code if isinstance(left.code, int) else int(left.code is not None)
    return result if isinstance(result, int) else 0


def _say(text: str, code: int, speaks: bool) -> int:
    if speaks:
        click.echo(f"mpiedge: {text}", err=True)
    return code


def _mpi_runs() -> bool:
    """Whether MPI was started, without starting it: ranks then leave together by themselves."""
    module = sys.modules.get("mpi4py.MPI")
    return module is not None and bool(module.Is_initialized())


if __name__ == "__main__":
    sys.exit(main())
