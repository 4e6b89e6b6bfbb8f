"""Pictures of what the benchmarks found, drawn from their results.json.

    python launch/bench/pictures.py [systems|peers|unequal|comm ...]

Written as docs/measured_*.png.
"""

import json
import sys
from pathlib import Path
from statistics import median

import click
from matplotlib.figure import Figure

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
OURS, OTHERS = "tab:blue", "tab:gray"
SIDES = {"mpiedge": OURS, "mpi4py": "tab:orange", "gloo": OTHERS}
MIB = 2**20


def bars(axis, values, ours, label):
    """A bar for each name, those of ours in our colour, each with its number."""
    names = list(values)
    colors = [OURS if name in ours else OTHERS for name in names]
    drawn = axis.barh(names, [values[name] for name in names], color=colors)
    number = "{:.0f}" if max(values.values()) > 100 else "{:.3g}"
    axis.bar_label(drawn, fmt=number, padding=3, fontsize=8)
    axis.set_xlabel(label)
    axis.set_xlim(0, 1.2 * max(values.values()))
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)


def systems(found):
    """Seconds an example and memory, a row for each size of batches."""
    figure = Figure(figsize=(11, 6.6))
    for row, (key, each) in zip(figure.subplots(len(found), 2), found.items(), strict=True):
        ran = {name: one for name, one in each["systems"].items() if "epochs" in one}
        seconds = {name: one["seconds"] for name, one in ran.items()}
        order = sorted(seconds, key=seconds.__getitem__, reverse=True)
        ours = [name for name in order if name.startswith("PAC")]
        bars(row[0], {name: seconds[name] for name in order}, ours, "s an example, 3 epochs")
        peaks = {name: ran[name]["peak_bytes"] / MIB for name in order}
        peaks["full, one machine"] = each["full_peak_bytes"] / MIB
        bars(row[1], peaks, ours, "MiB at the peak")
        row[0].set_title(key, fontsize=10, loc="left")
    return figure


def peers(found):
    """Seconds of three epochs, a panel for each number of ranks."""
    figure = Figure(figsize=(11, 3.4))
    panels = figure.subplots(1, len(found))
    for axis, (key, each) in zip(panels, found.items(), strict=True):
        rounds = each["seconds"]
        names = [name for name, value in rounds[0].items() if isinstance(value, list)]
        seconds = {name: median(sum(one[name]) for one in rounds) for name in names}
        bars(axis, seconds, ("data-parallel", "pipeline", "pac"), "s of 3 epochs")
        axis.set_title(f"{key}, {each['examples']} examples", fontsize=10, loc="left")
    return figure


def unequal(found):
    """Seconds an example of each side, or of a round of DEFT's."""
    figure = Figure(figsize=(11, 3.4))
    panels = figure.subplots(1, len(found))
    for axis, (part, each) in zip(panels, found.items(), strict=True):
        sides = {side: one["seconds"] for side, one in each["sides"].items() if one["seconds"]}
        label = "s of a round" if part == "deft" else "s an example, 3 epochs"
        bars(axis, sides, [part], label)
        axis.set_title(part, fontsize=10, loc="left")
    return figure


def comm(found):
    """Rates of messages and sums by size, a column for each way."""
    figure = Figure(figsize=(11, 6))
    axes = figure.subplots(2, len(found), sharex=True)
    for column, (over, each) in enumerate(found.items()):
        for line, what in enumerate(("message", "sum")):
            axis = axes[line][column]
            rows = [row for row in each["rows"] if row["what"] == what]
            for side, color in SIDES.items():
                rates = [row[f"{side}_mib_per_s"] for row in rows]
                axis.plot([row["kib"] for row in rows], rates, "o-", ms=4, color=color, label=side)
            axis.set(xscale="log", yscale="log", title=f"{what}s, {over}")
            axis.set_xticks([4, 64, 1024, 65536], ["4 KiB", "64 KiB", "1 MiB", "64 MiB"])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
        axes[0][column].legend(fontsize=8)
    axes[0][0].set_ylabel("MiB/s")
    axes[1][0].set_ylabel("MiB/s")
    return figure


PICTURES = {"systems": systems, "peers": peers, "unequal": unequal, "comm": comm}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(PICTURES)))
def main(names):
    """Draw the pictures named, or all."""
    for name in names or PICTURES:
        path = HERE / name / "results.json"
        if not path.exists():
            sys.exit(f"{path} is not there; run {path.with_name('compare.py')} first")
        figure = PICTURES[name](json.loads(path.read_text(encoding="utf-8")))
        figure.tight_layout()
        figure.savefig(DOCS / f"measured_{name}.png", dpi=110)


if __name__ == "__main__":
    main()
