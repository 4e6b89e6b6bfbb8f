"""Plain values between ranks, and failing together.

Values travel as JSON in a tensor of bytes: readable anywhere, and nothing that arrives is ever
executed.  Bad input that one rank finds must end all of them in the same way, so steps that read
input are taken ``collectively``.
"""

import json
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from mpiedge.comm.tag import Kind, Tag
from mpiedge.comm.transport import Transport
from mpiedge.errors import BadInput

T = TypeVar("T")

_VALUE = Tag(Kind.VALUE)


class SharedBadInput(BadInput):
    """Bad input that every rank has been told of and raises."""


def agree(transport: Transport, value: Any, root: int = 0) -> Any:
    """``root``'s value, on every rank."""
    if transport.rank != root:
        return _read(transport.recv(root, _VALUE))
    for dest in range(transport.size):
        if dest != root:
            transport.send([_written(value)], dest, _VALUE)
    return _read((_written(value),))


def gather(transport: Transport, value: Any, root: int = 0) -> list[Any] | None:
    """The values of all ranks, on ``root``; nothing elsewhere."""
    transport.send([_written(value)], root, _VALUE)
    if transport.rank != root:
        return None
    return [_read(transport.recv(source, _VALUE)) for source in range(transport.size)]


def collectively(transport: Transport, step: Callable[[], T]) -> T:
    """Take a step on every rank; if it is bad input anywhere, raise that everywhere."""
    complaint, result = _tried(step)
    complaints = gather(transport, complaint and f"{socket.gethostname()}: {complaint}")
    verdict = agree(transport, _verdict(complaints))
    if verdict is not None:
        raise SharedBadInput(verdict)
    assert result is not None
    return result[0]


def decided(transport: Transport, step: Callable[[], Any]) -> Any:
    """What ``step`` gives on rank 0, on every rank; if it is bad input, raise that everywhere."""
    complaint, result = _tried(step) if transport.rank == 0 else (None, None)
    complaint, value = agree(transport, [complaint, result and result[0]])
    if complaint is not None:
        raise SharedBadInput(complaint)
    return value


def check_same(transport: Transport, what: str, value: str, repair: str) -> None:
    """Raise ``BadInput`` on every rank if ``value`` is not the same on all."""
    values = gather(transport, value)
    difference = agree(transport, _difference(values))
    if difference is not None:
        ranks, theirs, first = difference
        raise SharedBadInput(
            f"{what} is {theirs!r} on {_named(ranks)} but {first!r} on rank 0; {repair}"
        )


def check_same_values(transport: Transport, values: dict[str, Any], repair: str) -> None:
    """Raise ``BadInput`` on every rank if one of the named values is not the same on all."""
    rows = gather(transport, values)
    difference = agree(transport, _first_difference(rows or []))
    if difference is not None:
        rank, name, theirs, first = difference
        raise SharedBadInput(
            f"{name} is {theirs!r} on rank {rank} but {first!r} on rank 0; {repair}"
        )


def _first_difference(rows: list[dict[str, Any]]) -> tuple[int, str, Any, Any] | None:
    for rank, row in enumerate(rows):
        for name in rows[0]:
            if row.get(name) != rows[0][name]:
                return rank, name, row.get(name), rows[0][name]
    return None


def _tried(step: Callable[[], T]) -> tuple[str | None, tuple[T] | None]:
    try:
        return None, (step(),)
    except BadInput as bad:
        return str(bad), None


def _verdict(complaints: list[Any] | None) -> str | None:
    """What is said about the complaints, if there are any, each given as ``HOST: text``."""
    failed = [(rank, str(text)) for rank, text in enumerate(complaints or []) if text]
    if not failed:
        return None
    rank, text = failed[0]
    bare = text.partition(": ")[2]
    if len(failed) == len(complaints or []) and all(t.endswith(f": {bare}") for _, t in failed):
        return bare
    return f"rank {rank} on {text}"


def _difference(values: list[Any] | None) -> tuple[list[int], str, str] | None:
    """Which ranks differ from rank 0, the first such value, and rank 0's."""
    first, *others = values or [None]
    ranks = [rank for rank, value in enumerate(others, start=1) if value != first]
    return (ranks, others[ranks[0] - 1], first) if ranks else None


def _named(ranks: list[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _written(value: Any) -> Tensor:
    return torch.from_numpy(np.frombuffer(json.dumps(value).encode(), dtype=np.uint8).copy())


def _read(tensors: tuple[Tensor, ...]) -> Any:
    return json.loads(tensors[0].numpy().tobytes())
