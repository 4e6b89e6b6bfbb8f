"""The section ``[comm]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class CommSettings:
    """How ranks speak to one another."""

    timeout: float = setting(
        60.0, "seconds a rank waits without a sign of life or progress before it gives up", above=0
    )
