"""A timeline as a picture: a row of passes for each rank, and below it what each keeps in memory.

matplotlib is imported here and when it is used: nothing else needs it.
"""

from importlib.util import find_spec
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.plan.prediction import kept_over_time
from mpiedge.plan.timeline import Pass
from mpiedge.run.simulating import Simulated

_COLOURS = {Pass.FORWARD: "#4c78a8", Pass.BACKWARD: "#f58518", Pass.UPDATE: "#54a24b"}
_WORDS = {Pass.FORWARD: "forward", Pass.BACKWARD: "backward", Pass.UPDATE: "update"}
_MIB = 2**20
FORMATS = (".png", ".svg")


def check(path: Path) -> None:
    """Raise BadInput where a picture of that name could not be drawn."""
    if path.suffix not in FORMATS:
        raise BadInput(f"a picture ends with {' or '.join(FORMATS)}, which {path} does not")
    if find_spec("matplotlib") is None:
        raise BadInput(
            "matplotlib, which draws the picture, is not installed: pip install 'mpiedge[plots]', "
            "or leave --output out"
        )


def draw(one: Simulated, path: Path) -> None:
    """Write the picture; what the path ends with says as what."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.patches import Patch  # noqa: PLC0415

    rows = one.found.timeline.by_rank
    figure = Figure(figsize=(12, 2.2 + 0.6 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for rank, spans in rows.items():
        for which, colour in _COLOURS.items():
            bars = [(s.start, s.end - s.start) for s in spans if s.action.which is which]
            above.broken_barh(
                bars, (rank - 0.4, 0.8), facecolors=colour, edgecolors="white", lw=0.3
            )
        steps = [(0.0, 0), *kept_over_time(one.part, spans)]
        times, held = zip(*steps, strict=True)
        heights = [size / _MIB for size in held]
        below.step(times, heights, where="post", label=f"rank {rank}", lw=1)
    uses = one.found.ranks
    labels = [f"rank {rank}: {uses[rank].utilisation:.0%} busy" for rank in rows]
    above.set_yticks(list(rows), labels)
    above.invert_yaxis()
    patches = [Patch(color=colour, label=_WORDS[which]) for which, colour in _COLOURS.items()]
    lines, _ = below.get_legend_handles_labels()
    every = [*patches, *lines]
    figure.legend(handles=every, loc="outside lower center", ncols=8, fontsize="small")
    above.set_title(
        f"{one.strategy}, phase {one.phase} of {one.phases}, {one.part.batches} batches in "
        f"{one.found.seconds:.3g} s"
    )
    below.set_xlabel("seconds")
    below.set_ylabel("kept, MiB")
    figure.savefig(path, dpi=120)
