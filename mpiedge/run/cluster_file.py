"""A cluster profile as a file: one readable TOML, measured or written by hand.

    [[device]]                    one for each rank, in order, or with count several alike
    name = "nano"
    gflops = 135                  what it sustains; or, measured, [device.layers.block] and so on
    memory = 4                    GiB
    rate = 1000                   Mb/s of its link; or a [[link]] for every pair
    [[link]]
    ranks = [0, 1]
    rate = 940
    delay = 0.1                   ms, one way

The cluster files of ``mpiedge testbed`` are such profiles too; their ``[scale]`` is not looked at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from pathlib import Path
from typing import Any

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively, decided
from mpiedge.config import RunSettings, parsed, section_of
from mpiedge.errors import BadInput
from mpiedge.model.blueprint import Blueprint
from mpiedge.plan.cluster import KINDS, Cluster, Measured, Member, Pace, Passes, kinds_of
from mpiedge.plan.cost import Link
from mpiedge.settings import setting

_GIB, _MEGABIT = 2**30, 1e6 / 8
_SECTIONS = ("device", "link", "model", "scale", "made")
_PASSES = ("forward", "backward")
_TIMES = {*_PASSES, "replay", "update"}


@dataclass(frozen=True)
class Kind:
    """One or several equal devices; an entry ``[[device]]``."""

    name: str = setting("", "what it is called")
    count: int = setting(1, "how many there are", least=1)
    host: str = setting("", "the host that it was measured on")
    gflops: float = setting(0.0, "GFLOP/s that one sustains; 0: its layers are measured", least=0)
    memory: float = setting(0.0, "GiB for a run; 0: as much as the machine that plans", least=0)
    rate: float = setting(0.0, "Mb/s of its link, in each direction", least=0)
    delay: float = setting(0.0, "ms from one such device to another, one way", least=0)
    storage: float = setting(0.0, "MB/s from the disk of its cache; 0: not known", least=0)
    bare: float = setting(0.0, "MiB of a process before it has weights; 0: not known", least=0)


@dataclass(frozen=True)
class Way:
    """The link of a pair; an entry ``[[link]]``."""

    ranks: list[int] = setting([], "the two ranks")
    rate: float = setting(0.0, "Mb/s", above=0)
    delay: float = setting(0.0, "ms, one way", least=0)


@dataclass(frozen=True)
class Model:
    """The model whose layers were timed; the section ``[model]``."""

    name: str = setting("", "model.name")
    layers: int = setting(0, "how many it has, embedding and head counted", least=0)
    width: int = setting(0, "of its hidden states", least=0)
    dtype: str = setting("float32", "model.dtype")
    adapter: str = setting("lora", "adapter.kind")
    tokens: int = setting(0, "of an ordinary micro-batch; 0: not known", least=0)


def open_cluster(
    settings: RunSettings, transport: Transport, blueprint: Blueprint
) -> Cluster | None:
    """The cluster that a run is planned for, the same on all ranks; None where none is named.

    The file is read on rank 0.  Raises BadInput on all ranks where it cannot be used for the run.
    """
    name = settings.strategy.cluster
    if not name:
        return None
    found = decided(transport, lambda: parsed(Path(name), "cluster profile"))
    return collectively(transport, lambda: _checked(cluster_of(found, name), settings, blueprint))


def cluster_of(values: Mapping[str, Any], where: str) -> Cluster:
    """The cluster that a profile's values describe; ``where`` they are from is in the errors."""
    unknown = [key for key in values if key not in _SECTIONS]
    if unknown:
        raise BadInput(f"{where}: {unknown[0]} is unknown; known: {', '.join(_SECTIONS)}")
    kinds, members = list[Kind](), list[Member]()
    for number, entry in enumerate(_entries(values, "device", where)):
        layers = entry.get("layers")
        plain = {key: value for key, value in entry.items() if key != "layers"}
        kind = section_of(Kind, f"device {number}", plain, where)
        member = _member(kind, number, layers, where)
        kinds += [kind] * kind.count
        members += [member] * kind.count
    if not members:
        raise BadInput(f"{where}: write a section [[device]] for every device")
    model = values.get("model")
    measured = Measured(**vars(section_of(Model, "model", model, where))) if model else None
    _check_speeds(members, measured, where)
    ways = [section_of(Way, "link", each, where) for each in _entries(values, "link", where)]
    return Cluster(tuple(members), _links(kinds, ways, where), measured)


def _entries(values: Mapping[str, Any], name: str, where: str) -> list[dict[str, Any]]:
    found = values.get(name, [])
    if not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        raise BadInput(f"{where}: write {name} as sections [[{name}]]")
    return found


def _member(kind: Kind, number: int, layers: Any, where: str) -> Member:
    return Member(
        name=kind.name or f"device {number}",
        memory=round(kind.memory * _GIB),
        gflops=kind.gflops,
        layers=None if layers is None else _timed(layers, number, where),
        storage=kind.storage * 1e6,
        host=kind.host,
        bare=round(kind.bare * 2**20),
    )


def _timed(layers: Any, number: int, where: str) -> dict[str, Passes]:
    """Measured seconds by kind of layer: of each pass its start and what a token takes."""
    found = {}
    for kind, passes in layers.items() if isinstance(layers, dict) else ():
        if kind not in KINDS or not _are_times(passes):
            raise BadInput(
                f"{where}: device {number}, layers.{kind} is {passes}; name a kind of layer "
                f"({', '.join(KINDS)}) with forward and backward = [start, each token], and if "
                f"known replay and update, in seconds, 0 or more"
            )
        found[kind] = Passes(
            forward=Pace(*map(float, passes["forward"])),
            backward=Pace(*map(float, passes["backward"])),
            replay=Pace(*map(float, passes["replay"])) if "replay" in passes else None,
            update=float(passes.get("update", 0.0)),
        )
    return found


def _are_times(passes: Any) -> bool:
    """Whether a layer's entry is as it should be."""
    if not isinstance(passes, dict) or not set(_PASSES) <= passes.keys() <= _TIMES:
        return False
    paces = (passes.get(name, [0, 0]) for name in (*_PASSES, "replay"))
    return all(map(_is_pace, paces)) and _is_time(passes.get("update", 0))


def _is_pace(pair: Any) -> bool:
    if not isinstance(pair, list) or len(pair) != len(Pace._fields):
        return False
    return all(map(_is_time, pair))


def _is_time(seconds: Any) -> bool:
    return isinstance(seconds, int | float) and isfinite(seconds) and seconds >= 0


def _check_speeds(members: Sequence[Member], model: Measured | None, where: str) -> None:
    """Every device has a speed, all told in the same way."""
    for number, one in enumerate(members):
        if model is not None and not one.layers:
            raise BadInput(
                f"{where}: device {number} ({one.name}) has no [device.layers], but [model] says "
                f"that layers were measured; profile it too, or give all devices gflops"
            )
        if model is None and not one.gflops:
            raise BadInput(
                f"{where}: device {number} ({one.name}) has gflops 0 and no measured layers of a "
                f"[model]; give it gflops above 0"
            )
        if model is not None and not sum(
            x for each in (one.layers or {}).values() for x in each.forward
        ):
            raise BadInput(
                f"{where}: device {number} ({one.name}) takes no time for any layer; profile it "
                f"again"
            )


def _links(kinds: Sequence[Kind], ways: Sequence[Way], where: str) -> tuple[tuple[Link, ...], ...]:
    count = len(kinds)
    named: dict[tuple[int, ...], Link] = {}
    for way in ways:
        pair = tuple(sorted(set(way.ranks)))
        if len(pair) != len(way.ranks) or pair not in set(combinations(range(count), 2)):
            raise BadInput(
                f"{where}: a [[link]] has ranks {way.ranks}; name two of the {count} devices, "
                f"0..{count - 1}"
            )
        named[pair] = Link(way.rate * _MEGABIT, way.delay / 1e3)

    def link(pair: tuple[int, int]) -> Link:
        return named.get(pair) or _through_switch(kinds, pair, where)

    found = {pair: link(pair) for pair in combinations(range(count), 2)}
    itself = Link(float("inf"), 0.0)
    return tuple(
        tuple(found.get((min(i, j), max(i, j)), itself) for j in range(count)) for i in range(count)
    )


def _through_switch(kinds: Sequence[Kind], pair: tuple[int, int], where: str) -> Link:
    """The link of two devices on a switch: the slower one's rate, and half of each one's delay."""
    one, other = (kinds[rank] for rank in pair)
    rate = min(one.rate, other.rate)
    if not rate:
        raise BadInput(
            f"{where}: nothing says how fast ranks {pair[0]} and {pair[1]} are linked; add a "
            f"[[link]] with ranks = [{pair[0]}, {pair[1]}] and its rate, or a rate to both devices"
        )
    return Link(rate * _MEGABIT, (one.delay + other.delay) / 2e3)


def _checked(found: Cluster, settings: RunSettings, blueprint: Blueprint) -> Cluster:
    """The cluster, if it can be planned for by this run's settings."""
    name = settings.strategy.cluster
    if settings.strategy.speeds:
        raise BadInput(
            f"strategy.speeds and strategy.cluster {name} both say how fast devices are; leave one "
            f"of them out"
        )
    if found.model is None:
        return found
    here = (
        blueprint.num_layers,
        int(blueprint.config.hidden_size),
        settings.model.dtype,
        settings.adapter.kind,
    )
    was = (found.model.layers, found.model.width, found.model.dtype, found.model.adapter)
    if here != was:
        words = "{} layers of width {}, {}, adapter {}"
        raise BadInput(
            f"{name} is a profile of {found.model.name} ({words.format(*was)}), and the run has "
            f"{settings.model.name} ({words.format(*here)}); profile it with this run file"
        )
    kinds = set(kinds_of(blueprint.num_layers, blueprint.bridge))
    for number, one in enumerate(found.members):
        missing = sorted(kinds - set(one.layers or {}))
        if missing:
            raise BadInput(
                f"{name}: device {number} has no times of the kind of layer {missing[0]}; profile "
                f"it again with this run file"
            )
    return found
