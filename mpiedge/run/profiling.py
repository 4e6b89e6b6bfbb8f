"""A cluster profile, measured by all ranks together and written by rank 0.

What is written is what ``cluster_file`` reads.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w
import torch

from mpiedge.comm.values import agree, collectively, gather
from mpiedge.errors import BadInput
from mpiedge.run.measuring import Size, layer_times, read_speed
from mpiedge.run.opening import Opened
from mpiedge.run.usage import peak_resident
from mpiedge.store.place import root
from mpiedge.version import VERSION

_GIB, _MEGABIT = 2**30, 1e6 / 8


class Link(NamedTuple):
    """The link of two ranks."""

    first: int
    second: int
    latency: float  # seconds, one way
    bandwidth: float  # bytes per second


def devices(opened: Opened, timed: Sequence[Size]) -> list[dict[str, Any]]:
    """The entry ``[[device]]`` of every rank, the same on all; called by all.

    Layers are timed with micro-batches of the ``timed`` sizes.
    """
    here = collectively(opened.transport, lambda: _device(opened, timed))
    found: list[dict[str, Any]] = agree(opened.transport, gather(opened.transport, here))
    return found


def profile(
    opened: Opened,
    members: Sequence[dict[str, Any]],
    links: Sequence[Link],
    timed: Sequence[Size],
) -> dict[str, Any]:
    """The whole profile as plain values."""
    return {
        "made": {"version": VERSION, "day": date.today().isoformat()},
        "model": model_of(opened, timed),
        "device": list(members),
        "link": [
            {
                "ranks": [link.first, link.second],
                "rate": _rounded(link.bandwidth / _MEGABIT),
                "delay": _rounded(link.latency * 1e3),
            }
            for link in sorted(links)
        ],
    }


def model_of(opened: Opened, timed: Sequence[Size]) -> dict[str, Any]:
    """What is measured; the middle one of the ``timed`` sizes is an ordinary micro-batch."""
    settings, blueprint = opened.settings, opened.blueprint
    rows, length, *_ = timed[len(timed) // 2]
    return {
        "name": settings.model.name,
        "layers": blueprint.num_layers,
        "width": int(blueprint.config.hidden_size),
        "dtype": settings.model.dtype,
        "adapter": settings.adapter.kind,
        "tokens": rows * length,
    }


def write(values: dict[str, Any], path: Path) -> None:
    """The profile as a file; raises BadInput where it cannot be written."""
    about = f"# A cluster profile, measured by mpiedge profile {VERSION}.  For mpiedge plan.\n"
    units = (
        "# memory GiB, bare MiB, storage MB/s, rate Mb/s, delay ms\n"
        "# a pass: [seconds, seconds a token]; update: seconds of an optimizer step\n"
        "# replay: the forward pass of what is beside the model, which itself is read back\n"
        "# bare: a process before it has weights\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{about}{units}\n{tomli_w.dumps(values)}", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the profile cannot be written to {path}: {error}") from None


def _device(opened: Opened, timed: Sequence[Size]) -> dict[str, Any]:
    host, bare = opened.host, peak_resident()
    memory = host.free_memory // host.ranks
    if opened.device.type == "cuda":
        # On a board whose memory is one for both, the smaller number holds.
        memory = min(memory, torch.cuda.mem_get_info(opened.device)[0])
    storage = read_speed(root(opened.settings.cache.folder))
    return {
        "name": f"rank {opened.transport.rank}",
        "host": host.name,
        "memory": _rounded(memory / _GIB),
        "storage": _rounded(storage / 1e6),
        "bare": _rounded(bare / 2**20),
        "layers": {
            kind: {
                "forward": [_rounded(each) for each in passes.forward],
                "backward": [_rounded(each) for each in passes.backward],
                **({} if passes.replay is None else {"replay": list(map(_rounded, passes.replay))}),
                "update": _rounded(passes.update),
            }
            for kind, passes in layer_times(opened, timed).items()
        },
    }


def _rounded(value: float) -> float:
    """Four digits, which is more than a measurement repeats."""
    return float(f"{value:.4g}")
