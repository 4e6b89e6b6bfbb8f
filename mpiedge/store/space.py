"""Room on the disk: before a run, and when it has run out."""

import shutil
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.store.layout import ITEM_BYTES, Layout

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def check_space(folder: Path, needed: int, layout: Layout) -> None:
    """Refuse a run whose cache of ``needed`` bytes would not fit on the disk of ``folder``."""
    free = free_bytes(folder)
    if needed <= free:
        return
    fitting = [dtype for dtype in ITEM_BYTES if needed * _ratio(layout, dtype) <= free]
    smaller = ITEM_BYTES[layout.dtype]
    named = [dtype for dtype in fitting if ITEM_BYTES[dtype] < smaller]
    repair = f"set cache.dtype to {' or '.join(named)}" if named else "no cache.dtype would fit"
    raise BadInput(
        f"activation cache: {size(needed)} are needed in {layout.dtype} and {size(free)} are free "
        f"in {folder}, {size(needed - free)} too little; {repair}, or set cache.folder to a "
        "larger disk"
    )


def disk_full(folder: Path, stored: int) -> BadInput:
    """The error of a run that has filled the disk."""
    return BadInput(
        f"activation cache: the disk of {folder} is full: {size(stored)} of activations are "
        f"stored there and {size(free_bytes(folder))} are free; make room, set cache.folder to a "
        "larger disk, or cache.dtype to a smaller format"
    )


def free_bytes(folder: Path) -> int:
    """What a user may still write where ``folder`` is or will be."""
    there = next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()
    )
    return shutil.disk_usage(there).free


def size(count: float) -> str:
    """Bytes for a reader: ``3.4 GiB``."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.0f} bytes" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"


def _ratio(layout: Layout, dtype: str) -> float:
    other = Layout(layout.layers, layout.width, layout.bridge, dtype)
    return other.row_bytes() / layout.row_bytes()
