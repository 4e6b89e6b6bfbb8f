"""The section ``[comm]`` of a run file."""

from dataclasses import dataclass

from mpiedge.settings import setting


@dataclass(frozen=True)
class CommSettings:
    """How ranks speak to one another."""

    timeout: float = setting(
        60.0, "seconds a rank waits without a sign of life or progress before it gives up", above=0
    )
    compression: str = setting(
        "none",
        "number format in which hidden states and their gradients cross between ranks: none: as "
        "they are; int8: one scale a token; topk: the largest values of a token, see comm.keep",
        choices=("none", "bfloat16", "float16", "int8", "topk"),
    )
    keep: float = setting(
        0.25, "compression topk: the part of each token's values that crosses", above=0, most=1
    )
    sums: str = setting(
        "float32",
        "number format in which gradients of weights are summed over ranks; bfloat16: half the "
        "bytes, rounded at every rank that adds to them",
        choices=("float32", "bfloat16"),
    )
