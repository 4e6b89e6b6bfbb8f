"""What a cache is of: the backbone, the text, the number format.

Two runs share a cache if nothing that decides the backbone's activations differs between them;
what is trained on top may differ.
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mpiedge.store.atomic import replace_text
from mpiedge.store.image import FORMAT

_CHUNK = 1 << 20  # bytes read at a time
_MEMO = "fingerprints.json"


class Key(NamedTuple):
    """All that the stored numbers depend on."""

    weights: str  # fingerprint of the checkpoint's files
    family: str
    quantize: str  # model.quantize
    compute: str  # model.dtype
    layers: int  # of the whole model
    task: str  # a digest of the tokenised examples, every split
    dtype: str  # cache.dtype

    @property
    def name(self) -> str:
        """Sixteen hexadecimal digits; another version of the format has others."""
        content = json.dumps([FORMAT, *self]).encode()
        return hashlib.blake2b(content, digest_size=8).hexdigest()


def fingerprint(files: Sequence[Path], home: Path) -> str:
    """A digest of the contents of files in this order: BLAKE2b over every byte.

    A file of which size and time of change are known from before is not read again: that is noted
    in ``home``, the folder of all caches.
    """
    memo = _read_memo(home)
    known = {str(path.resolve()): _known(path, memo) for path in files}
    with suppress(OSError):  # a note that cannot be made costs time, nothing else
        home.mkdir(parents=True, exist_ok=True)
        replace_text(home / _MEMO, json.dumps({**memo, **known}))
    return hashlib.blake2b(
        "".join(known[str(path.resolve())][2] for path in files).encode(), digest_size=16
    ).hexdigest()


def _known(path: Path, memo: dict[str, Any]) -> tuple[int, int, str]:
    stat = path.stat()
    noted = memo.get(str(path.resolve()))
    match noted:
        case [stat.st_size, stat.st_mtime_ns, str(digest)]:
            return stat.st_size, stat.st_mtime_ns, digest
    return stat.st_size, stat.st_mtime_ns, _digest(path)


def _digest(path: Path) -> str:
    found = hashlib.blake2b(digest_size=16)
    buffer = bytearray(_CHUNK)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            found.update(memoryview(buffer)[:size])
    return found.hexdigest()


def _read_memo(home: Path) -> dict[str, Any]:
    try:
        memo = json.loads((home / _MEMO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memo if isinstance(memo, dict) else {}
