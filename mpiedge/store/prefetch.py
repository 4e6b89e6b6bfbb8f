"""Micro-batches read ahead of their use by a thread, already side by side and padded."""

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.store.cache import ActivationCache
from mpiedge.store.layout import Counts, Layout
from mpiedge.store.pool import Pool
from mpiedge.store.reader import Reader, Target


@dataclass(frozen=True)
class Replay:
    """What the backbone made of the examples of a micro-batch, as it was stored."""

    examples: tuple[int, ...]
    layers: range
    hidden: tuple[Tensor, ...]  # a layer: [rows, longest, width], zeros where there is no token
    counts: tuple[tuple[int, ...], ...]  # a layer: the tokens of each row
    left: bool  # tokens stand at the right, padding at the left

    def padded(self, layer: int, mask: Tensor) -> Tensor:
        """A layer's output [rows, seq, width], tokens where ``mask`` [rows, seq] is 1.

        Nothing is copied where the mask pads as the thread did: each row to the longest, on the
        side given.  Raises BadInput where it has not the tokens that were stored.
        """
        number = layer - self.layers.start
        hidden, counts = self.hidden[number], self.counts[number]
        real = (mask != 0).cpu()
        given = tuple(real.sum(1).tolist())
        if given != counts:
            raise BadInput(
                f"activation cache: examples {self.examples} have {counts} tokens stored and "
                f"{given} in the batch; remove the cache with 'mpiedge cache remove'"
            )
        ours = _mask(counts, hidden.shape[1], self.left)
        if real.shape == ours.shape and torch.equal(real, ours):
            return hidden
        out = hidden.new_zeros(*mask.shape, hidden.shape[2])
        out[real] = hidden[ours]
        return out


class Prefetch:
    """Reads the micro-batches of ``orders`` one after the other, up to ``ahead`` before their use.

    Each takes its memory; one is enough to read while another is trained on.
    An iterator of Replay, and a context that ends the thread.  ``orders`` is consumed in the
    thread.  What goes wrong there is raised when its micro-batch is asked for: Damaged, BadInput.
    """

    def __init__(
        self,
        cache: ActivationCache,
        orders: Iterator[Sequence[int]],
        layers: range,
        *,
        ahead: int = 1,
        left: bool = False,
    ) -> None:
        self._loader = _Loader(cache, layers, left, Pool(ahead + 1))
        self._orders = orders
        self._ready: queue.Queue[Replay | BaseException | None] = queue.Queue()
        self._slots = threading.Semaphore(ahead)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="mpiedge prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Replay]:
        return self

    def __next__(self) -> Replay:
        if self._ended:
            raise StopIteration
        found = self._ready.get()
        self._slots.release()
        if isinstance(found, Replay):
            return found
        self._ended = True
        raise StopIteration if found is None else found

    def close(self) -> None:
        """End the thread; what it has read is forgotten."""
        self._ended = True
        self._slots.release()
        self._thread.join()

    def __enter__(self) -> "Prefetch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            for examples in self._orders:
                self._slots.acquire()
                if self._ended:
                    return
                self._ready.put(self._loader.load(examples))
            self._ready.put(None)
        except BaseException as error:  # noqa: BLE001 - it is raised where it can be heard
            self._ready.put(error)


class _Loader:
    """Reads one micro-batch after the other."""

    def __init__(self, cache: ActivationCache, layers: range, left: bool, pool: Pool) -> None:
        self._layout: Layout = cache.layout
        self._reader = Reader(cache.layout, cache.index)
        self._layers, self._left, self._pool = layers, left, pool

    def load(self, examples: Sequence[int]) -> Replay:
        """A micro-batch, read from the disk and decoded."""
        counts = self._reader.counts(examples, self._layers)
        targets: list[list[Target]] = [[] for _ in examples]
        hidden: list[Tensor] = []
        for source in (True, False):
            layers = self._layers_of(source)
            tokens = [one.source if source else one.target for one in counts]
            if len(layers):
                made = self._space(layers, tokens, targets)
                hidden.extend(made)
        self._reader.load(examples, targets)
        return Replay(
            tuple(examples), self._layers, tuple(hidden), self._tokens(counts), self._left
        )

    def _space(self, layers: range, tokens: Sequence[int], targets: list[list[Target]]) -> Tensor:
        """Room [layers, rows, longest, width] with the padding set to zero; notes the targets."""
        longest = max(tokens, default=0)
        whole = self._pool.take((len(layers), len(tokens), longest, self._layout.width))
        for row, count in enumerate(tokens):
            start = longest - count if self._left else 0
            whole[:, row, :start] = 0
            whole[:, row, start + count :] = 0
            targets[row].append(Target(layers, whole[:, row, start : start + count]))
        return whole

    def _layers_of(self, source: bool) -> range:
        cut = min(max(self._layout.bridge, self._layers.start), self._layers.stop)
        return range(self._layers.start, cut) if source else range(cut, self._layers.stop)

    def _tokens(self, counts: Sequence[Counts]) -> tuple[tuple[int, ...], ...]:
        source, target = zip(*counts, strict=True)
        return tuple(source if layer < self._layout.bridge else target for layer in self._layers)


def _mask(counts: Sequence[int], longest: int, left: bool) -> Tensor:
    places = torch.arange(longest)
    tokens = torch.tensor(counts)[:, None]
    return places >= longest - tokens if left else places < tokens
