"""The standard input of ``mpiedge launch``, as rank 0 reads it.

mpirun passes the words on but never the end of them, so that a reader waits for ever.  Rank 0
runs on the launcher's machine: it reads a named pipe that the launcher fills.
"""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from mpiedge.errors import BadInput
from mpiedge.launch.rank import rank_of

VARIABLE = "MPIEDGE_INPUT"


def offer(source: BinaryIO, folder: Path) -> dict[str, str]:
    """Copy ``source`` to whoever reads the pipe that the returned environment names."""
    pipe = folder / "standard-input"
    os.mkfifo(pipe)
    threading.Thread(target=_copy, args=(source, pipe), daemon=True, name="stdin").start()
    return {VARIABLE: str(pipe)}


@contextlib.contextmanager
def lines(environment: Mapping[str, str]) -> Iterator[Iterator[str]]:
    """The lines of the standard input; raises BadInput where they would never end."""
    pipe = environment.get(VARIABLE)
    if pipe is not None:
        with open(pipe, encoding="utf-8", errors="surrogateescape") as source:
            yield iter(source)
    elif rank_of(environment) is not None:
        raise BadInput(
            "mpirun does not pass on the end of the standard input; start with mpiedge launch, "
            "or give the text as an argument"
        )
    else:
        yield iter(sys.stdin)


def _copy(source: BinaryIO, pipe: Path) -> None:
    # Opening waits for the reader, who may never come: not every input is asked for.
    with contextlib.suppress(OSError), pipe.open("wb") as sink:
        shutil.copyfileobj(source, sink)
