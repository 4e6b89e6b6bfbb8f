"""The machines a job runs on: one a line, with the number of ranks each takes.

The format is Open MPI's (``pi-1 slots=1``).  It is read here, and not left to mpirun, so that a
mistake is one clear line before anything starts, and so that a line without ``slots`` means one
rank: mpirun would start one for every core.
"""

import re
from pathlib import Path
from typing import NamedTuple

from mpiedge.errors import BadInput

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
SLOTS = re.compile(r"slots\s*=\s*(\S*)")
MOST_SLOTS = 128


class Host(NamedTuple):
    """A machine and how many ranks it takes."""

    name: str
    slots: int


def read(path: Path) -> tuple[Host, ...]:
    """The hosts of a hostfile, in order; rank 0 runs on the first."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise BadInput(f"cannot read the hostfile {path}: {reason}") from error
    hosts: dict[str, Host] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        host = _host(words, f"{path}, line {number}")
        if host.name in hosts:
            raise BadInput(
                f"{path}, line {number}: {host.name} is there twice; name each host once and "
                f"give it {hosts[host.name].slots + host.slots} slots"
            )
        hosts[host.name] = host
    if not hosts:
        raise BadInput(f"{path} names no host; write one a line, such as 'localhost slots=4'")
    return tuple(hosts.values())


def _host(words: str, place: str) -> Host:
    name, _, rest = words.partition(" ")
    if not NAME.fullmatch(name):
        raise BadInput(f"{place}: {name!r} is not a host's name; write 'NAME slots=N'")
    if not rest.strip():
        return Host(name, 1)
    found = SLOTS.fullmatch(rest.strip())
    if found is None:
        raise BadInput(f"{place}: {rest.strip()!r} is not understood; write '{name} slots=N'")
    count = found[1]
    if not (count.isdecimal() and 1 <= int(count) <= MOST_SLOTS):
        raise BadInput(f"{place}: slots={count} is not a number of ranks from 1 to {MOST_SLOTS}")
    return Host(name, int(count))


def first(hosts: tuple[Host, ...], ranks: int) -> tuple[Host, ...]:
    """The hosts that the first ``ranks`` ranks fill, with the slots they take there."""
    taken: list[Host] = []
    for host in hosts:
        left = ranks - sum(each.slots for each in taken)
        if left > 0:
            taken.append(Host(host.name, min(left, host.slots)))
    return tuple(taken)
