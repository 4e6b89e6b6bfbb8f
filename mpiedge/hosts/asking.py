"""Asks all machines at once, each with a deadline, in the way in which mpirun reaches them."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from mpiedge.errors import BadInput
from mpiedge.hosts import inquiry, networks
from mpiedge.launch.hostfile import Host
from mpiedge.launch.network import is_here

PATIENCE = 15.0  # seconds that a machine has for its answer


class Answer(NamedTuple):
    """What came back from a machine, or why nothing did."""

    name: str
    facts: dict[str, Any]  # as ``inquiry`` says them; empty: none
    trouble: str = ""
    offset: float = 0.0  # seconds that its clock is ahead of ours, about


def ask(
    hosts: Sequence[Host], agent: Sequence[str], paths: Sequence[str], patience: float = PATIENCE
) -> tuple[Answer, ...]:
    """The answers of all hosts, in order; this machine is asked without ``agent``."""

    def asked(host: Host) -> Answer:
        try:
            here = is_here(host.name)
        except BadInput as unknown:
            return Answer(host.name, {}, str(unknown))
        there = [*agent, host.name, question(paths)]
        return _answer(host.name, [sys.executable, "-", *paths] if here else there, patience)

    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        return tuple(pool.map(asked, hosts))


def question(paths: Sequence[str]) -> str:
    """What a shell there is asked to run: the Python at the place of ours, or any other.

    Every word is quoted: names of files may hold anything.
    """
    given = " ".join(map(shlex.quote, paths))
    ours = shlex.quote(sys.executable)
    return f"if [ -x {ours} ]; then exec {ours} - {given}; else exec python3 - {given}; fi"


def _answer(name: str, command: Sequence[str], patience: float) -> Answer:
    start = time.time()
    try:
        done = subprocess.run(
            command,
            input=Path(inquiry.__file__).read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",  # a banner may be anything
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer(name, {}, f"no answer within {patience:.0f} s")
    except OSError as error:
        return Answer(name, {}, f"{command[0]} cannot be run: {error.strerror}")
    try:
        found = json.loads(done.stdout.strip().splitlines()[-1])
        middle = (start + time.time()) / 2
        known = {key: found[key] for key in inquiry.KEYS}
        networks.read(known["networks"])
        return Answer(name, known, offset=known["time"] - middle)
    except (IndexError, ValueError, KeyError, TypeError):
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        return Answer(name, {}, f"it answered: {said:.120}")
