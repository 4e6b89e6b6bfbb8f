"""How rank 0 tells the launcher that the job came to an end, and which.

A file, because mpirun's own exit code says 0 when a whole host was lost.  ``launch`` names the
file in the environment; rank 0 always runs on the launcher's machine, so both see it.
"""

import contextlib
import json
import os
from pathlib import Path

VARIABLE = "MPIEDGE_ENDED"


def report(code: int) -> None:
    """Leave the job's exit code for the launcher; without a launcher, do nothing.

    Rank 0 calls it as its very last act.  The file appears whole or not at all, and the first
    report stands: what goes wrong while leaving does not change how the job ended.
    """
    place = os.environ.get(VARIABLE)
    if not place or Path(place).exists():
        return
    part = Path(f"{place}.{os.getpid()}")
    with contextlib.suppress(OSError):  # the launcher may have gone, and its folder with it
        part.write_text(json.dumps({"exit_code": code}), encoding="ascii")
        part.replace(place)


def read(place: Path) -> int | None:
    """The exit code that rank 0 reported, if it did."""
    try:
        return int(json.loads(place.read_text(encoding="ascii"))["exit_code"])
    except FileNotFoundError:
        return None
