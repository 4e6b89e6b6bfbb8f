"""What a run is about: model, task and ranks, looked at on every rank and agreed by all.

Everything a user can get wrong is found here, before weights are read: each step is taken by all
ranks together, and a rank that fails ends all of them with its one line.
"""

import os
import socket
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import torch

from mpiedge.cgroup import usable_memory
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import agree, check_same, check_same_values, collectively, decided, gather
from mpiedge.config import RunSettings, flat, located
from mpiedge.errors import BadInput
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.blueprint import Blueprint, Found, build_model, find_model
from mpiedge.model.load import absent_modules
from mpiedge.model.purpose import Purpose
from mpiedge.model.quantize import check_frozen
from mpiedge.model.tokenizer import open_target_tokenizer, open_tokenizer
from mpiedge.pipeline.spans import Spans
from mpiedge.plan.cluster import Cluster
from mpiedge.run.cluster_file import open_cluster
from mpiedge.strategy.depth import lowest_of
from mpiedge.strategy.registry import AT_CLIENTS, RECORDING, strategy
from mpiedge.strategy.roles import roles
from mpiedge.task.labels import united
from mpiedge.task.opening import label_names, open_task
from mpiedge.task.registry import recipe
from mpiedge.task.task import Task
from mpiedge.version import VERSION


class Host(NamedTuple):
    """Where a rank runs."""

    name: str
    free_memory: int  # bytes, of the whole host
    ranks: int  # on this host
    place: int  # of this rank among them


@dataclass(frozen=True)
class Opened:
    """Model and task of a run on one rank: known, but no weights and no examples read."""

    settings: RunSettings
    transport: Transport
    hosts: tuple[Host, ...]  # by rank
    task: Task
    purpose: Purpose
    labels: tuple[str, ...]
    blueprint: Blueprint
    heads: tuple[str, ...]  # modules trained whole beside the adapters
    tuned: frozenset[str]
    cluster: Cluster | None = None  # what is known of the devices, where a profile says it
    spans: Spans | None = None  # where what happens is kept, in a run that is recorded
    decoder_start: int | None = None  # a decoder's first token, where the model has one apart
    slowness: tuple[float, ...] = ()  # by rank, how many times slower it was than known before
    replanned: int = 0  # how often the work was laid out anew for that

    @property
    def host(self) -> Host:
        """This rank's host."""
        return self.hosts[self.transport.rank]

    @property
    def device(self) -> torch.device:
        """The device this rank computes on."""
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", self.host.place % torch.cuda.device_count())


def open_run(settings: RunSettings, transport: Transport, beside: Path = Path()) -> Opened:
    """Look at everything a run needs; raises BadInput on all ranks when one of them cannot.

    Paths that are not found from the current folder are looked for in ``beside``.
    """
    check_same(transport, "the version of mpiedge", VERSION, "install one version everywhere")
    check_same_values(transport, flat(settings), "give every rank the same run file")
    settings, hosts = located(settings, beside), _hosts(transport)
    torch.set_num_threads(settings.training.threads or _threads(hosts[transport.rank]))
    collectively(transport, lambda: _check_strategy(settings))
    collectively(transport, lambda: _check_answers(settings))
    purpose = collectively(transport, lambda: Purpose(recipe(settings.task.name).purpose))
    found = collectively(transport, lambda: find_model(settings.model))
    settings = _with_client_labels(settings, transport)
    own = _files_here(settings, transport)[:1]
    task = collectively(transport, lambda: _open_task(settings, found.decoder_start, *own))
    # Labels that the run file does not name stand in the training file, which rank 0 has.
    labels = tuple(decided(transport, lambda: list(task.labels)))
    blueprint = collectively(transport, lambda: _build(settings, found, purpose, len(labels) or 1))
    settings = collectively(transport, lambda: _with_depth(settings, blueprint))
    heads = collectively(transport, lambda: _adapt(settings, blueprint))
    cluster = open_cluster(settings, transport, blueprint)
    return Opened(
        settings=replace(settings, task=replace(settings.task, labels=list(labels))),
        transport=transport,
        hosts=hosts,
        task=task,
        purpose=purpose,
        labels=labels,
        blueprint=blueprint,
        heads=heads,
        tuned=tuned_names(blueprint.model, settings.adapter, heads),
        cluster=cluster,
        decoder_start=found.decoder_start,
    )


def _check_strategy(settings: RunSettings) -> None:
    strategy(settings.strategy.name)
    if settings.strategy.name in RECORDING and settings.adapter.kind != "parallel":
        raise BadInput(
            f"strategy.name {settings.strategy.name} trains a network beside the model, but "
            f"adapter.kind is {settings.adapter.kind}; set it to parallel, or use strategy pipeline"
        )
    if settings.strategy.name in AT_CLIENTS and settings.adapter.kind in ("full", "parallel"):
        raise BadInput(
            f"strategy.name {settings.strategy.name} trains adapters inside frozen blocks, but "
            f"adapter.kind is {settings.adapter.kind}; set it to bottleneck or lora"
        )


def _check_answers(settings: RunSettings) -> None:
    mark, adapter = settings.task.answer_mark, settings.adapter.kind
    if mark and settings.task.name != "language":
        raise BadInput(
            f"task.answer_mark {mark!r} is for task language, but task.name is "
            f"{settings.task.name}; leave it out"
        )
    if mark and adapter == "parallel":
        raise BadInput(
            f"task.answer_mark {mark!r} needs the whole model at the end, but adapter.kind is "
            f"{adapter}; leave it out, and use mpiedge predict"
        )


def open_task_of(opened: Opened, client: int) -> Task:
    """The task on the training file of one client."""
    own = opened.settings.task.client_files[client]
    return _open_task(opened.settings, opened.decoder_start, own)


def _files_here(settings: RunSettings, transport: Transport) -> list[str]:
    """The training files of the clients on this rank."""
    files = settings.task.client_files
    here = roles(settings.strategy, transport.size).clients_on(transport.rank, len(files))
    return [files[client] for client in here]


def _with_client_labels(settings: RunSettings, transport: Transport) -> RunSettings:
    """The settings with the labels of all clients together, where nothing else names them."""

    def look() -> list[tuple[str, ...]]:
        return [label_names(settings.task, own) for own in _files_here(settings, transport)]

    if not settings.task.client_files:
        return settings
    rows = gather(transport, collectively(transport, look)) or []
    each = [names for turn in zip_longest(*rows) for names in turn if names]
    labels = decided(transport, lambda: list(united(each)) if each else [])
    if not labels:
        return settings
    return replace(settings, task=replace(settings.task, labels=labels))


def _open_task(settings: RunSettings, decoder_start: int | None, own: str = "") -> Task:
    name, other = settings.model.name, settings.task.target_tokenizer
    return open_task(
        settings.task,
        open_tokenizer(name),
        seed=settings.training.seed,
        decoder_start=decoder_start,
        target_tokenizer=open_tokenizer(other) if other else open_target_tokenizer(name),
        own=own,
    )


def _build(settings: RunSettings, found: Found, purpose: Purpose, num_labels: int) -> Blueprint:
    blueprint, task = build_model(found, purpose, num_labels), settings.task
    lengths = {"max_length": task.max_length}
    if purpose is Purpose.SEQ2SEQ:
        lengths["max_target_length"] = task.max_target_length
    for name, length in lengths.items():
        if blueprint.longest is not None and length > blueprint.longest:
            raise BadInput(
                f"task.{name} = {length} is more than the {blueprint.longest} positions of "
                f"{settings.model.name}; set it to {blueprint.longest} or less"
            )
    return blueprint


def _with_depth(settings: RunSettings, blueprint: Blueprint) -> RunSettings:
    """The settings with the lowest block that has an adapter, where the strategy decides it."""
    if settings.strategy.name != "split":
        return settings
    last = (blueprint.bridge or blueprint.num_layers - 2) - 1
    lowest = lowest_of(settings.strategy, settings.adapter.lowest, last)
    return replace(settings, adapter=replace(settings.adapter, lowest=lowest))


def _adapt(settings: RunSettings, blueprint: Blueprint) -> tuple[str, ...]:
    """Put the adapters in; the modules that are trained whole beside them."""
    check_frozen(settings.model, settings.adapter)
    # What the head reads is new, so nothing of it is worth keeping as it was.
    pooling = blueprint.family.pooling if settings.adapter.kind == "parallel" else ()
    heads = tuple(dict.fromkeys((*blueprint.head_names, *absent_modules(blueprint), *pooling)))
    inject(blueprint.model, settings.adapter, blueprint.family.name, heads)
    return heads


def _hosts(transport: Transport) -> tuple[Host, ...]:
    # Boards of one make often have one name: only with the boot they are told apart.
    row = [socket.gethostname(), _boot(), usable_memory()]
    rows = agree(transport, gather(transport, row))
    machines = [(name, booted) for name, booted, _ in rows]
    return tuple(
        Host(name, free, machines.count((name, booted)), machines[:rank].count((name, booted)))
        for rank, (name, booted, free) in enumerate(rows)
    )


def _boot() -> str:
    """What is the same for all processes on a machine, and no other machine has."""
    identity = Path("/proc/sys/kernel/random/boot_id")
    return identity.read_text(encoding="ascii").strip() if identity.exists() else ""


def _threads(host: Host) -> int:
    """What OMP_NUM_THREADS says, else this process's cores shared among its host's ranks."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    able = getattr(os, "sched_getaffinity", None)
    cores = len(able(0)) if able else os.cpu_count() or 1
    return max(1, cores // host.ranks)
