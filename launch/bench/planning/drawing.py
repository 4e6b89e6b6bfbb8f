"""Curves of time against size, with the limits."""

from matplotlib.figure import Figure

PANELS = (("planning", ("pac", "data", "pipeline", "ring")), ("simulation", ("simulate",)))


def draw(rows, limits, path):
    """Planning on the left, simulation on the right, both scales by powers of ten."""
    figure = Figure(figsize=(11, 4.6))
    axes = figure.subplots(1, 2, sharey=True)
    for axis, (title, starts) in zip(axes, PANELS, strict=True):
        names = dict.fromkeys(r["what"] for r in rows if r["what"].startswith(starts))
        for name in names:
            points = [(r["size"], max(r["seconds"], 1e-4)) for r in rows if r["what"] == name]
            axis.plot(*zip(*points, strict=True), "o-", ms=3.5, lw=1.4, label=name)
            for (what, size), seconds in limits.items():
                if what == name:
                    color = axis.lines[-1].get_color()
                    axis.plot(size, seconds, marker="v", ms=9, mfc="none", color=color, ls="none")
        axis.set(xscale="log", yscale="log", xlabel="ranks", title=title)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="upper left")
    axes[0].set_ylabel("processor seconds, one core")
    figure.text(0.5, 0.005, "open triangles: limits", ha="center", fontsize=8)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=130)
