"""Draws the pictures of the strategies: devices as columns, layers as cells, routes as arrows.

    python docs/pictures/draw.py

Writes an SVG for each strategy beside this file, and all four systems together.
"""

from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
LAYERS = 8  # embedding 0, blocks 1..6, head 7
CELL, WIDE, GAP, TOP, LEFT = 17, 74, 46, 58, 20
HEIGHT = TOP + LAYERS * CELL + 82

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 10.5px; fill: #666 }
.cell { font-size: 10px; text-anchor: middle }
.frozen { fill: #d5d9e0; stroke: #8b93a1 }
.trained { fill: #f5a742; stroke: #a8640a }
.absent { fill: #fff; fill-opacity: 0.85; stroke: #b9bec7; stroke-dasharray: 2 3 }
.side { fill: #f5a742; stroke: #a8640a }
.store { fill: #8ec7a3; stroke: #3d7a55 }
.data { fill: #9cb8e8; stroke: #41639f }
.go, .back { fill: none; stroke-width: 1.8 }
.go { stroke: #41639f; marker-end: url(#go) }
.back { stroke: #a8640a; stroke-dasharray: 5 3; marker-end: url(#back) }
@media (prefers-color-scheme: dark) {
  text { fill: #e3e6ea } .small { fill: #a9b0ba }
  .absent { fill: #131416 }
  .cell { fill: #16181c } .absent + .cell { fill: #a9b0ba }
  .go { stroke: #9cb8e8 } .back { stroke: #f5a742 }
}
"""
HEADS = """<defs>
<marker id="go" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 8 4 0 8z" fill="#41639f"/></marker>
<marker id="back" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
 orient="auto"><path d="M0 0 8 4 0 8z" fill="#a8640a"/></marker></defs>"""


class Device(NamedTuple):
    """A column: which layers it holds, what of them is trained, and what lies on it."""

    name: str
    held: range = range(0)
    trained: tuple[int, ...] = ()
    more: tuple[int, ...] = ()  # held too, beside the run of layers
    side: bool = False  # a narrow network beside the model is trained
    below: tuple[str, ...] = ()  # of "data" and "store"


class Arrow(NamedTuple):
    """From a device's layer to another one's; back: a gradient."""

    source: tuple[int, float]
    dest: tuple[int, float]
    back: bool = False


class Panel(NamedTuple):
    """A picture."""

    title: str
    caption: str
    devices: tuple[Device, ...]
    arrows: tuple[Arrow, ...]


OWN, KEPT = ("data",), ("store",)
RING = Panel(
    "ring",
    "data and labels stay where they are; blocks unfreeze from the top",
    (
        Device("device 1", range(1, 3), (7,), (0, 7), below=OWN),
        Device("device 2", range(3, 5), (), (0, 7), below=OWN),
        Device("device 3", range(5, 7), (5, 6), (0, 7), below=OWN),
    ),
    (
        Arrow((0, 2), (1, 3)),
        Arrow((1, 4), (2, 5)),
        Arrow((2, 6.2), (0, 7.2)),
        Arrow((0, 6.8), (2, 5.8), back=True),
    ),
)
PAC = Panel(
    "pac",
    "epoch 1: a pipeline of replicas stores what the model makes; later each device its own part",
    (
        Device("device 1", range(4), (), side=True, below=("store",)),
        Device("device 2", range(4), (), side=True, below=("store",)),
        Device("device 3", range(4, 8), (7,), side=True, below=("store",)),
    ),
    (
        Arrow((0, 3), (2, 3.6)),
        Arrow((1, 2.6), (2, 4.2)),
        Arrow((2, 5.4), (1, 1.2), back=True),
    ),
)
SPLIT = Panel(
    "split",
    "devices run frozen layers forward only; the server trains what is above, from its store later",
    (
        Device("device 1", range(3), below=OWN),
        Device("device 2", range(4), below=OWN),
        Device("server", range(3, 8), (4, 5, 6, 7), below=KEPT),
    ),
    (Arrow((0, 2.2), (2, 3)), Arrow((1, 3), (2, 4))),
)
DEFT = Panel(
    "deft",
    "every device tunes the block that suits its speed, memory and link; the server averages",
    (
        Device("server", range(8)),
        Device("weak", range(8), (6, 7), below=OWN),
        Device("stronger", range(8), (4, 5, 7), below=OWN),
        Device("strong", range(8), (1, 2, 3, 7), below=OWN),
    ),
    (
        Arrow((1, 6), (0, 6), back=True),
        Arrow((2, 4.5), (0, 4.5), back=True),
        Arrow((3, 2), (0, 2), back=True),
    ),
)
PIPELINE = Panel(
    "pipeline",
    "each device some layers; several micro-batches are under way at once",
    (
        Device("rank 0", range(3), (1, 2), below=OWN),
        Device("rank 1", range(3, 5), (3, 4)),
        Device("rank 2", range(5, 8), (5, 6, 7)),
    ),
    (
        Arrow((0, 2.2), (1, 3.2)),
        Arrow((1, 4.2), (2, 5.2)),
        Arrow((2, 4.8), (1, 3.8), back=True),
        Arrow((1, 2.8), (0, 1.8), back=True),
    ),
)
PANELS = {"ring": RING, "pac": PAC, "split": SPLIT, "deft": DEFT, "pipeline": PIPELINE}


def left(device: int) -> float:
    """Where a column starts."""
    return LEFT + device * (WIDE + GAP)


def middle(layer: float) -> float:
    """The height of a layer's middle; the embedding is lowest."""
    return TOP + (LAYERS - layer - 0.5) * CELL


def column(number: int, device: Device) -> list[str]:
    """A device."""
    x, found = left(number), [f'<text x="{left(number)}" y="{TOP - 8}">{device.name}</text>']
    for layer in range(LAYERS):
        held = layer in device.held or layer in device.more
        kind = "trained" if layer in device.trained else "frozen" if held else "absent"
        y = TOP + (LAYERS - 1 - layer) * CELL
        size = f'width="{WIDE}" height="{CELL - 2}" rx="2"'
        name = {0: "embedding", LAYERS - 1: "head"}.get(layer, f"block {layer}") if held else ""
        found.append(f'<rect class="{kind}" x="{x}" y="{y}" {size}/>')
        found.append(f'<text class="cell" x="{x + WIDE / 2}" y="{y + 11}">{name}</text>')
        if device.side and held and layer < LAYERS - 1:
            beside = f'x="{x + WIDE + 3}" y="{y}" width="9" height="{CELL - 2}" rx="2"'
            found.append(f'<rect class="side" {beside}/>')
    for place, what in enumerate(device.below):
        y = TOP + LAYERS * CELL + 6 + place * 22
        found.append(f'<rect class="{what}" x="{x + 8}" y="{y}" width="58" height="17" rx="8"/>')
        word = {"data": "own data", "store": "store"}[what]
        found.append(f'<text class="cell" x="{x + WIDE / 2}" y="{y + 12}">{word}</text>')
    return found


def line(arrow: Arrow, devices: tuple[Device, ...]) -> str:
    """An arrow from the side of one column to the nearer side of another."""
    (a, low), (b, high) = arrow.source, arrow.dest
    right = b > a
    start = left(a) + (WIDE + (14 if devices[a].side else 2) if right else -2)
    end = left(b) + (-3 if right else WIDE + (14 if devices[b].side else 3))
    kind = "back" if arrow.back else "go"
    return f'<path class="{kind}" d="M{start} {middle(low)} L{end} {middle(high)}"/>'


def drawn(panel: Panel) -> list[str]:
    """A picture's elements."""
    found = [f'<text class="title" x="{LEFT}" y="20">{panel.title}</text>']
    # Columns hide what passes behind them.
    found += [line(arrow, panel.devices) for arrow in panel.arrows]
    for number, device in enumerate(panel.devices):
        found += column(number, device)
    for row, words in enumerate(wrapped(panel.caption)):
        y = HEIGHT - 34 + 15 * row
        found.append(f'<text class="small" x="{LEFT}" y="{y}">{words}</text>')
    return found


def wrapped(text: str, most: int = 62) -> list[str]:
    """Lines of a caption."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > most:
            lines.append("")
        lines[-1] += f"{word} "
    return lines


def width(panel: Panel) -> float:
    """How wide a picture is."""
    return max(left(len(panel.devices)) - GAP + LEFT + 14, 390)


def svg(wide: float, high: float, elements: list[str], words: str) -> str:
    """A file."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {high:g}" role="img"'
    body = "\n".join(elements)
    top = f'{head} width="{wide:g}">\n<title>{words}</title>\n<style>{STYLE}</style>'
    return f"{top}\n{HEADS}\n{body}\n</svg>\n"


def key(x: float, y: float) -> list[str]:
    """What the colours mean."""
    found = []
    for kind, words in (("trained", "trained"), ("frozen", "frozen"), ("store", "kept on disk")):
        found.append(f'<rect class="{kind}" x="{x}" y="{y}" width="14" height="11" rx="2"/>')
        found.append(f'<text class="small" x="{x + 19}" y="{y + 10}">{words}</text>')
        x += 30 + 7 * len(words)
    for kind, words in (("go", "activations"), ("back", "gradients")):
        found.append(f'<path class="{kind}" d="M{x} {y + 6} L{x + 26} {y + 6}"/>')
        found.append(f'<text class="small" x="{x + 32}" y="{y + 10}">{words}</text>')
        x += 42 + 7 * len(words)
    return found


def together() -> str:
    """The four systems, two by two."""
    wide = max(map(width, (RING, PAC, SPLIT, DEFT)))
    found = []
    for number, panel in enumerate((RING, PAC, SPLIT, DEFT)):
        x, y = number % 2 * wide, number // 2 * HEIGHT
        found += [f'<g transform="translate({x} {y})">', *drawn(panel), "</g>"]
    found += key(LEFT, 2 * HEIGHT + 6)
    return svg(2 * wide, 2 * HEIGHT + 28, found, "ring, pac, split and deft as routes")


def main() -> None:
    """Write all files."""
    for name, panel in PANELS.items():
        elements = [*drawn(panel), *key(LEFT, HEIGHT + 4)]
        text = svg(max(width(panel), 480), HEIGHT + 24, elements, f"{name}: {panel.caption}")
        (HERE / f"{name}.svg").write_text(text, encoding="utf-8")
    (HERE / "systems.svg").write_text(together(), encoding="utf-8")


if __name__ == "__main__":
    main()
