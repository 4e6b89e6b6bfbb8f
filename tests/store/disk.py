"""A small disk of one's own, where that is permitted."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: int, options: str = "rw") -> Iterator[Path]:
    """A tmpfs of ``size`` bytes; skips the test where mounting is not permitted."""
    place.mkdir(exist_ok=True)
    words = ("mount", "-t", "tmpfs", "-o", f"size={size},{options}", "tmpfs", str(place))
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount command here: {error}")
    if done.returncode:
        pytest.skip(f"mounting a tmpfs is not permitted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(("umount", str(place)), check=True)
