"""One rank's activation cache: what the frozen backbone made of each example, kept on disk.

Records are written by a thread while the backbone computes; they can be read once ``finish`` has
returned.  What is stored is never changed, only added and dropped.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mpiedge.errors import BadInput
from mpiedge.store.background import Background
from mpiedge.store.damaged import Damaged
from mpiedge.store.fetch import Fetch
from mpiedge.store.index import Index
from mpiedge.store.layout import Layout
from mpiedge.store.lock import Lock
from mpiedge.store.pack import Outputs
from mpiedge.store.raw import from_raw, to_raw
from mpiedge.store.reader import Reader, Target
from mpiedge.store.recorder import Recorder
from mpiedge.store.shelf import Shelf

_WAITING = 2  # micro-batches held in memory for the thread that writes


class ActivationCache:
    """The records in a folder; of one process at a time, used by one thread.

    Raises BadInput for a folder that cannot be used: locked, not writable, of another cache (a
    ``key`` or layout of its own) or of another format.  ``lost`` counts segments that were not
    whole and are gone, so that their examples are not ``complete`` any more.
    """

    def __init__(self, folder: Path, layout: Layout, key: str = "") -> None:
        self.layout, self.index = layout, Index()
        self._lock = _locked(folder)
        self._shelf = Shelf(folder, stamp(layout, key), layout.row_bytes())
        try:
            self._shelf.fill(self.index)
        except BaseException:
            self._lock.release()
            raise
        self.lost = self._shelf.lost
        self._reader, self._fetch = Reader(layout, self.index), Fetch(layout.row_bytes())
        self._recorder = Recorder(folder, layout, self._shelf, self.index)
        self._thread = Background("mpiedge cache", _WAITING)

    def put(
        self,
        examples: Sequence[int],
        layers: range,
        hidden: Sequence[Tensor],
        masks: Sequence[Tensor],
    ) -> None:
        """Store what ``layers`` made of some examples: a layer, [rows, seq, width] and its mask.

        Returns at once; the tensors may not be changed afterwards.  What is there already stays.
        Raises BadInput, also for an earlier micro-batch, as when the disk is full.
        """
        outputs = Outputs(examples, layers, hidden, masks).checked(self.layout)
        self._thread.submit(lambda: self._recorder.put(outputs))

    def put_raw(self, example: int, content: Tensor) -> None:
        """Store a record that ``raw`` gave on another rank; raises Damaged if it is not whole."""
        record, rows = from_raw(content, example, self.layout)
        self._thread.submit(lambda: self._recorder.take(record, rows))

    def finish(self) -> None:
        """Wait until all that was put is on the disk and can be read; raises as ``put`` does."""
        self._thread.submit(self._recorder.seal)
        self._thread.wait()

    def complete(self, layers: range) -> NDArray[np.int64]:
        """The examples of which all of these layers are stored, in ascending order."""
        return np.array(self.index.complete(layers), dtype=np.int64)

    def read(self, examples: Sequence[int], layers: range) -> list[list[Tensor]]:
        """Each example's activations, a layer [tokens, width] in float32.

        Raises Damaged, which names the examples, and BadInput for one that is not there.
        """
        made = []
        for counts in self._reader.counts(examples, layers):
            stacks = self.layout.stacks(layers, counts)
            shapes = [(len(one.layers), one.tokens, self.layout.width) for one in stacks]
            outs = [torch.empty(shape) for shape in shapes]
            made.append([Target(one.layers, out) for one, out in zip(stacks, outs, strict=True)])
        self._reader.load(examples, made)
        return [[layer for target in targets for layer in target.out] for targets in made]

    def raw(self, example: int) -> list[tuple[range, Tensor]]:
        """The records of an example as uint8 tensors, undecoded, for ``put_raw`` elsewhere."""
        found = []
        for entry in self.index.of(example):
            rows = self._fetch.rows(entry)
            if rows is None:
                raise Damaged([example])
            found.append((entry.record.label.layers, to_raw(entry.record, rows)))
        return found

    def drop(self, examples: Iterable[int]) -> None:
        """Forget examples and free what space they took; calls ``finish`` before."""
        self.finish()
        gone = self.index.remove(examples)
        self._thread.submit(lambda: self._recorder.give_up(gone))
        self._thread.wait()

    def close(self) -> None:
        """End the thread and let others use the folder; what was not finished is lost."""
        self._thread.end()
        self._recorder.abandon()
        self._lock.release()


def stamp(layout: Layout, key: str) -> str:
    """What every segment of a cache is marked with."""
    return json.dumps({"key": key, **asdict(layout)})


def _locked(folder: Path) -> Lock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return Lock(folder)
    except OSError as error:
        raise BadInput(
            f"activation cache: {folder} cannot be written ({error.strerror}); "
            "set cache.folder to another folder"
        ) from error
