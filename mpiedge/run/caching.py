"""A run's activation caches: what is stored on which rank, what is missing, and who gets what.

A split is cached on every rank: while the model is laid out as a pipeline each stores what its
layers made, afterwards each has what it replays.
"""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mpiedge.comm.values import agree, collectively, gather
from mpiedge.errors import BadInput
from mpiedge.model.load import open_checkpoint
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.redistribution import (
    Examples,
    Holding,
    held_by,
    transfers,
    uncovered,
)
from mpiedge.run.examples import Survey
from mpiedge.run.opening import Opened
from mpiedge.run.redistributing import holdings, redistribute
from mpiedge.store.cache import ActivationCache
from mpiedge.store.description import Description, describe
from mpiedge.store.key import Key, fingerprint
from mpiedge.store.layout import Counts, Layout
from mpiedge.store.place import rank_folder, root
from mpiedge.store.space import check_space
from mpiedge.strategy.strategy import Phase
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Split

_KEPT = "kept"
"""A file beside a cache that says a run asked for it to be kept."""


@dataclass(frozen=True)
class SplitCache:
    """One split's cache on this rank, and all that is known of the split."""

    split: Split
    folder: Path
    cache: ActivationCache
    survey: Survey
    order: tuple[Batch, ...]  # the split's micro-batches, each example once
    left: bool = False  # micro-batches are padded on the left

    @property
    def layers(self) -> range:
        """The layers that are stored: all but the head."""
        return range(self.cache.layout.layers)

    @property
    def counts(self) -> list[Counts]:
        """The tokens of each example."""
        return self.survey.tokens

    @property
    def examples(self) -> Examples:
        """The number of every example."""
        return np.arange(self.survey.size)


@dataclass(frozen=True)
class Caches:
    """The caches of a run on this rank."""

    home: Path  # of all ranks on this host that use the same key
    train: SplitCache
    validation: SplitCache

    @property
    def splits(self) -> tuple[SplitCache, ...]:
        """Both."""
        return (self.train, self.validation)

    @property
    def stored(self) -> int:
        """Bytes on this rank's disk."""
        return sum(segment.stat().st_size for segment in self.home.glob(f"*/{self._rank}/*.h5"))

    @property
    def _rank(self) -> str:
        return self.train.folder.name

    def let_go(self) -> None:
        """Leave the caches as they are, for a run that goes on."""
        for one in self.splits:
            one.cache.close()

    def close(self) -> None:
        """Let go of the caches, and remove this rank's part unless some run wanted it kept."""
        self.let_go()
        if (self.home / _KEPT).exists():
            return
        for one in self.splits:
            shutil.rmtree(one.folder, ignore_errors=True)
        # Whoever is last on a host removes what the ranks there share.
        for folder in (*(one.folder.parent for one in self.splits), self.home):
            with suppress(OSError):
                if folder == self.home and not any(p.is_dir() for p in folder.iterdir()):
                    shutil.rmtree(folder)
                else:
                    folder.rmdir()


def open_caches(
    opened: Opened, surveys: Mapping[Split, Survey], passes: Mapping[Split, tuple[Batch, ...]]
) -> Caches:
    """Open this rank's caches; called by all.  Raises BadInput where that cannot be done."""
    settings, blueprint = opened.settings, opened.blueprint
    every = root(settings.cache.folder)
    key = Key(
        weights=_fingerprint(opened, every),
        family=blueprint.family.name,
        quantize=settings.model.quantize,
        compute=settings.model.dtype,
        layers=blueprint.num_layers,
        task="".join(surveys[split].digest for split in sorted(surveys)),
        dtype=settings.cache.dtype,
    )
    layout = layout_of(opened)
    home = every / key.name
    # Where no decoder stands apart; one that does is always padded on the right.
    alone = blueprint.bridge is None and blueprint.family.stacks[0].causal
    left = alone and open_tokenizer(settings.model.name).padding_side == "left"

    def split(name: Split) -> SplitCache:
        folder = rank_folder(home, name, opened.transport.rank)
        cache = ActivationCache(folder, layout, key.name)
        return SplitCache(name, folder, cache, surveys[name], passes[name], left)

    def whole() -> Caches:
        if opened.host.place == 0:
            describe(home, _description(opened, surveys, layout.layers))
            if settings.cache.keep:
                (home / _KEPT).touch()
        return Caches(home, split("train"), split("validation"))

    return collectively(opened.transport, whole)


def _fingerprint(opened: Opened, folder: Path) -> str:
    """The digest of the model's weights, which has to be the same on every host."""
    transport = opened.transport

    def look() -> str | None:
        # The ranks of a host read the same files: one of them is enough.
        first = opened.host.place == 0
        return fingerprint(open_checkpoint(opened.blueprint).files, folder) if first else None

    found = agree(transport, gather(transport, collectively(transport, look)))
    digests = {rank: digest for rank, digest in enumerate(found) if digest}
    differing = [rank for rank in digests if digests[rank] != digests[0]]
    if differing:
        raise BadInput(
            f"model.name: the weights of {opened.settings.model.name} on ranks {differing} are not "
            f"those of rank 0; copy the same files to every device"
        )
    return str(digests[0])


def missing(opened: Opened, one: SplitCache) -> Examples:
    """The examples of which some layer is on no rank; called by all."""
    return uncovered(holdings(opened.transport, one.cache), one.examples, one.layers)


def has_most(opened: Opened, one: SplitCache) -> bool:
    """Whether so little is missing that an epoch of recording would be a waste; called by all."""
    return 2 * len(missing(opened, one)) < one.survey.size


def settle(opened: Opened, one: SplitCache, plan: PartitionPlan) -> int:
    """Give every rank what it replays under a plan; the bytes this rank sent."""
    wanted = held_by(plan, one.order, one.layers)
    return redistribute(opened.transport, one.cache, wanted, one.counts)


def check_room(opened: Opened, caches: Caches, phases: Sequence[Phase]) -> None:
    """Raise BadInput where a disk has less room than its ranks will need; called by all."""
    transport, home = opened.transport, caches.home
    needed = sum(_stored(one).growth(phases, transport.rank) for one in caches.splits)
    disk = [opened.host.name, home.stat().st_dev, needed]
    disks = agree(transport, gather(transport, disk))
    together = sum(size for host, device, size in disks if [host, device] == disk[:2])
    collectively(transport, lambda: check_space(home, together, caches.train.cache.layout))


class Stored(NamedTuple):
    """A split as it will be stored: how, in which order it comes, and what of it is there."""

    layout: Layout
    order: tuple[Batch, ...]
    counts: list[Counts]  # the tokens of each example
    there: frozenset[int] = frozenset()

    def growth(self, phases: Sequence[Phase], rank: int) -> int:
        """The most bytes that a rank's part will take on the disk, beside what is there."""
        layers = range(self.layout.layers)
        recorded = held_by(phases[0].plan, self.order, layers)
        # With nothing to replay, everything stays where it was recorded.
        wanted = [held_by(phase.plan, self.order, layers) for phase in phases[1:]]
        moved = [each for some in wanted for each in transfers(recorded, some)]
        here = [held for held in recorded if held.rank == rank]
        coming = [Holding(rank, each.layers, each.examples) for each in moved if each.dest == rank]
        return sum(
            self.layout.total_bytes(
                (self.counts[e] for e in held.examples if int(e) not in self.there), held.layers
            )
            for held in (*here, *coming)
        )


def layout_of(opened: Opened) -> Layout:
    """How a run's activations are stored."""
    blueprint = opened.blueprint
    layers = blueprint.num_layers - 1
    bridge = layers if blueprint.bridge is None else blueprint.bridge
    return Layout(layers, blueprint.config.hidden_size, bridge, opened.settings.cache.dtype)


def _stored(one: SplitCache) -> Stored:
    there = frozenset(one.cache.complete(one.layers).tolist())
    return Stored(one.cache.layout, one.order, one.counts, there)


def _description(opened: Opened, surveys: Mapping[Split, Survey], layers: int) -> Description:
    return Description(
        model=opened.settings.model.name,
        task=opened.settings.task.name,
        dtype=opened.settings.cache.dtype,
        layers=layers,
        splits={split: surveys[split].size for split in surveys},
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
