"""A record as it travels from rank to rank: its label and checksum, and the stored bytes."""

import struct

import numpy as np
import torch
from torch import Tensor

from mpiedge.store.checksum import Bytes, checksum
from mpiedge.store.damaged import Damaged
from mpiedge.store.layout import Layout
from mpiedge.store.record import Label, Record

_HEAD = struct.Struct("<5qQ")  # the label, the checksum


def to_raw(record: Record, rows: Bytes) -> Tensor:
    """A record and its rows [rows, row bytes] as one uint8 tensor."""
    content = np.empty(_HEAD.size + rows.size, dtype=np.uint8)
    content[: _HEAD.size] = np.frombuffer(_HEAD.pack(*record.label, record.check), dtype=np.uint8)
    content[_HEAD.size :] = rows.reshape(-1)
    return torch.from_numpy(content)


def from_raw(content: Tensor, example: int, layout: Layout) -> tuple[Record, Bytes]:
    """The record and its rows; raises Damaged if they are not what was sent."""
    given = content.numpy()
    if given.size < _HEAD.size:
        raise Damaged([example])
    *label, check = _HEAD.unpack(given[: _HEAD.size].tobytes())
    named, stored = Label(*label), given[_HEAD.size :]
    size = layout.record_bytes(named.layers, named.counts)
    if named.example != example or stored.size != size:
        raise Damaged([example])
    rows = stored.reshape(-1, layout.row_bytes())
    if checksum(named, rows) != check:
        raise Damaged([example])
    return Record(named, check, 0, 0, size), rows
