"""Small files that are replaced all at once, also by several ranks of one machine."""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write a file beside its place and put it there whole; raises OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
