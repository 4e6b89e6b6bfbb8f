"""A curve for each thing that grows."""

from matplotlib.figure import Figure

PANELS = {
    "devices": "emulated Nanos",
    "depth": "blocks",
    "length": "tokens of an example",
    "cached": "examples kept",
}


def draw(rows, path):
    """Milliseconds an example against size, the bound dashed; all scales by powers."""
    figure = Figure(figsize=(11, 6.4))
    for axis, (what, label) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
        here = [each for each in rows if each["what"] == what]
        for kind in dict.fromkeys(each["kind"] for each in here):
            of = [each for each in here if each["kind"] == kind]
            at = [each["size"] for each in of]
            axis.plot(at, [1e3 * e["seconds_an_example"] for e in of], "o-", ms=4, label=kind)
            color = axis.lines[-1].get_color()
            axis.plot(at, [1e3 * each["bound"] for each in of], "--", lw=1, color=color)
        ticks = sorted({each["size"] for each in here})
        axis.set(xscale="log", yscale="log", xlabel=label, ylabel="ms an example")
        axis.set_xticks(ticks, [f"{each:,}" for each in ticks])
        axis.minorticks_off()
        low, high = axis.get_ylim()
        if high < 10 * low:  # a narrow range would look like a steep one
            axis.set_ylim(low / 3, high * 3)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.text(0.5, 0.005, "dashed: the bound", ha="center", fontsize=8)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=130)
