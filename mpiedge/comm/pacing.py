"""A sender that keeps to its share of a link: pieces that leave no faster than a given rate.

Apart from the transport, which sends as fast as it can.
"""

import time

import torch
from torch import Tensor

from mpiedge.comm.tag import Tag
from mpiedge.comm.transport import Transport

_SMALLEST = 4096  # numbers of a piece
_MOST = 64  # pieces of a message


def pieces(numbers: int) -> int:
    """Into how many pieces so many numbers go; sender and receiver both know."""
    return max(1, min(_MOST, -(-numbers // _SMALLEST)))


def send_pieces(transport: Transport, flat: Tensor, dest: int, tag: Tag, rate: float) -> None:
    """Send a tensor [n] in pieces, at ``rate`` bytes per second; 0: as fast as can be.

    A piece leaves when the link would be done with it, so the last one arrives when all would have.
    """
    start, sent = time.monotonic(), 0
    for number, piece in enumerate(torch.chunk(flat, pieces(flat.numel()))):
        sent += piece.numel() * piece.element_size()
        if rate > 0:
            time.sleep(max(0.0, start + sent / rate - time.monotonic()))
        transport.send([piece], dest, tag._replace(place=number))
    transport.flush()
