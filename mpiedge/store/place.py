"""Where caches lie: ``<cache.folder>/<key>/<split>/rank-<r>``."""

import os
from pathlib import Path


def root(folder: str) -> Path:
    """The folder of all caches; ``folder`` is the setting ``cache.folder``."""
    if folder:
        return Path(folder).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path counts as none.
    base = Path(cache) if os.path.isabs(cache) else Path.home() / ".cache"
    return base / "mpiedge" / "activations"


def rank_folder(home: Path, split: str, rank: int) -> Path:
    """The folder of one rank's part of a split, in the folder of a key."""
    return home / split / f"rank-{rank}"
