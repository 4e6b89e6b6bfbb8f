"""The sections ``[cache]`` and ``[checkpoint]`` of a run file."""

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


@dataclass(frozen=True)
class CheckpointSettings:
    """How often a run's state is put on the disk, so that it can go on after an interruption."""

    every: int = setting(
        64, "updates between two checkpoints at most; 0: none are written", least=0
    )
    seconds: float = setting(
        30.0,
        "seconds between two checkpoints at least; what was done since the last is lost; 0: at "
        "every such update, whatever it takes",
        least=0,
    )
    share: float = setting(
        0.02,
        "part of the time that checkpoints may take: after one that took long the next waits "
        "longer; 0: whatever they take",
        least=0,
        most=1,
    )
    keep: int = setting(2, "how many of the last checkpoints stay on the disk", least=1)
    slow: float = setting(
        3.0,
        "at a checkpoint a rank is called slow that was so many times slower than planned, "
        "compared with the others",
        least=1.5,
    )
    replan: bool = setting(
        False, "where a rank is slow, lay the work out anew and go on from the checkpoint"
    )
