"""The three models of PAC's tables, as shapes."""

from mpiedge.plan.shapes import Shape

T5_BASE = Shape(768, 3072, 12, 12, 12, vocabulary=32128)
BART_LARGE = Shape(
    1024,
    4096,
    16,
    12,
    12,
    vocabulary=50265,
    positions=2 * 1026,
    biased=True,
    fused_norms=True,
    scores=False,
)
T5_LARGE = Shape(1024, 4096, 16, 24, 24, vocabulary=32128)
