"""Sends a parcel to all machines but this one, at once, in the way in which mpirun reaches them."""

import json
import shlex
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.hosts import arrival
from mpiedge.hosts.parcel import Parcel
from mpiedge.launch.hostfile import Host
from mpiedge.launch.network import is_here

PATIENCE = 3600.0  # seconds: torch may have to be fetched over a slow link


class Sent(NamedTuple):
    """What came of it on a machine."""

    name: str
    here: bool = False
    changed: int = 0  # files
    aside: tuple[str, ...] = ()  # changed there by somebody else, kept in .replaced
    trouble: str = ""

    def __str__(self) -> str:
        if self.here:
            return f"{self.name}: this machine"
        if self.trouble:
            return f"{self.name}: wrong: {self.trouble}"
        kept = f"; of your own changes there, kept in .replaced: {', '.join(self.aside)}"
        new = f"{self.changed} new or changed files" if self.changed else "nothing was new"
        return f"{self.name}: {new}, installed{kept if self.aside else ''}"


def send(
    hosts: Sequence[Host],
    agent: Sequence[str],
    parcel: Parcel,
    told: Callable[[Sent], None],
    patience: float = PATIENCE,
) -> tuple[Sent, ...]:
    """Send it to all; ``told`` hears of each as soon as it is done."""
    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        going = {pool.submit(_sent, host.name, agent, parcel, patience): host for host in hosts}
        found = {}
        for one in as_completed(going):
            found[going[one]] = one.result()
            told(one.result())
    return tuple(found[host] for host in hosts)


def order(parcel: Parcel) -> str:
    """What a shell there is asked to run; every word is quoted, as files may be called anything."""
    plan = {"root": parcel.root, "files": parcel.files, "command": parcel.command}
    program = Path(arrival.__file__).read_text(encoding="utf-8")
    return shlex.join(["python3", "-c", program, json.dumps(plan)])


def _sent(name: str, agent: Sequence[str], parcel: Parcel, patience: float) -> Sent:
    try:
        if is_here(name):
            return Sent(name, here=True)
        done = subprocess.run(
            [*agent, name, order(parcel)],
            input=parcel.content,
            capture_output=True,
            timeout=patience,
            check=False,
        )
    except BadInput as unknown:
        return Sent(name, trouble=str(unknown))
    except subprocess.TimeoutExpired:
        return Sent(name, trouble=f"not done within {patience:.0f} s; try again, what came is kept")
    except OSError as error:
        return Sent(name, trouble=f"{agent[0]} cannot be run: {error.strerror}")
    return _read(name, *(text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)))


def _read(name: str, out: str, err: str) -> Sent:
    try:
        found = json.loads(out.strip().splitlines()[-1])
        if trouble := found.get("trouble"):
            return Sent(name, trouble=str(trouble))
        return Sent(name, changed=int(found["changed"]), aside=tuple(map(str, found["aside"])))
    except (IndexError, ValueError, KeyError, TypeError, AttributeError):
        said = (err.strip() or out.strip() or "nothing").splitlines()[-1]
        return Sent(name, trouble=f"it answered: {said:.120}; try: ssh {name} true")
