"""A store of activations for the time of one run, on this rank's disk.

Apart from what is kept in it and why, which differs from strategy to strategy.
"""

import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from secrets import token_hex

from mpiedge.comm.values import agree, collectively
from mpiedge.errors import NotRead
from mpiedge.run.opening import Opened
from mpiedge.store.cache import ActivationCache
from mpiedge.store.damaged import Damaged
from mpiedge.store.layout import Counts, Layout
from mpiedge.store.place import rank_folder, root
from mpiedge.store.prefetch import Prefetch, Replay
from mpiedge.store.space import check_space
from mpiedge.task.sampler import Batch


class Kept:
    """The store; opened by all ranks together, and removed when it is closed."""

    def __init__(self, opened: Opened, name: str) -> None:
        self._transport = opened.transport
        layers, width = opened.blueprint.num_layers - 1, opened.blueprint.config.hidden_size
        layout = Layout(layers, width, layers, opened.settings.cache.dtype)
        token = agree(opened.transport, token_hex(8))
        home = root(opened.settings.cache.folder) / f"{name}-{token}"
        self._folder = rank_folder(home, "train", opened.transport.rank)
        self.cache = collectively(
            opened.transport, lambda: ActivationCache(self._folder, layout, token)
        )

    @property
    def stored(self) -> int:
        """Bytes on this rank's disk."""
        return sum(segment.stat().st_size for segment in self._folder.glob("*.h5"))

    def check_room(self, tokens: Iterable[int], layers: int) -> None:
        """Raise BadInput where the disk has too little room for ``layers`` of examples; collective.

        ``tokens`` are those of each example.
        """
        layout = self.cache.layout
        needed = layers * layout.total_bytes(map(Counts, tokens), range(1))
        collectively(self._transport, lambda: check_space(self._folder, needed, layout))

    @contextmanager
    def replays(
        self, orders: Iterable[Batch], layers: range, left: bool
    ) -> Iterator[Iterator[Replay]]:
        """What was kept of batches of examples, read ahead in their order.

        Raises NotRead for what is not as it was written: unlike a cache's it cannot be made again
        by the rank that reads it.
        """
        with closing(self._read(orders, layers, left)) as found:
            yield found

    def _read(
        self, orders: Iterable[Batch], layers: range, left: bool
    ) -> Generator[Replay, None, None]:
        with Prefetch(self.cache, iter(orders), layers, left=left) as ahead:
            try:
                yield from ahead
            except Damaged as damaged:
                raise NotRead(
                    f"what this run kept in {self._folder} is damaged or gone (examples "
                    f"{damaged.examples}); go on from the last checkpoint, without what was kept: "
                    "mpiedge train ... --resume latest"
                ) from damaged

    def close(self) -> None:
        """Remove what was kept."""
        self.cache.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        for folder in (self._folder.parent, self._folder.parent.parent):
            with suppress(OSError):
                folder.rmdir()
