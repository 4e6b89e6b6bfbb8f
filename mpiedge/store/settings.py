"""The section ``[cache]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class CacheSettings:
    """Where a frozen backbone's activations are kept, and in which number format."""

    folder: str = setting(
        "",
        "where activations are stored; left out: mpiedge/activations in $XDG_CACHE_HOME, or else "
        "in ~/.cache",
    )
    dtype: str = setting(
        "float32",
        "number format of stored activations; float16 and bfloat16 take half the space of "
        "float32; int8, with one scale a token, a quarter",
        choices=("float32", "float16", "bfloat16", "int8"),
    )
    keep: bool = setting(
        False, "keep the activations after the run, for the next one on the same model and data"
    )
