"""What is sent to other machines: mpiedge itself as it is here, and files such as a run file."""

import io
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.version import VERSION

_TREE = ("mpiedge", "launch", "pyproject.toml", "README.md", "LICENSE")
_LEFT_OUT = ("__pycache__", "bench")  # of no use to a device
INSTALL = "./launch/install"


class Parcel(NamedTuple):
    """A tar, and what a machine does with it."""

    content: bytes
    root: str  # where the tree goes, as here; empty: there is no tree
    files: tuple[str, ...]  # where the other files go, as here
    command: tuple[str, ...]  # that installs


def pack(files: Sequence[Path]) -> Parcel:
    """Everything; where mpiedge came from an index, only the files and its version."""
    root = Path(__file__).resolve().parents[2]
    cloned = (root / "pyproject.toml").is_file() and (root / INSTALL).is_file()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in _TREE if cloned else ():
            tar.add(root / name, f"tree/{name}", filter=_kept)
        for number, path in enumerate(files):
            if not path.is_file():
                raise BadInput(f"there is no file {path}; name a run file of this machine")
            tar.add(path.resolve(), f"file/{number}", filter=_kept)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", f"mpiedge[mpi]=={VERSION}")
    places = tuple(str(path.resolve()) for path in files)
    return Parcel(buffer.getvalue(), str(root), places, (INSTALL,) if cloned else pip)


def _kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Nothing of who owns it here, and nothing that is made anew anyway."""
    if not set(member.name.split("/")).isdisjoint(_LEFT_OUT):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
