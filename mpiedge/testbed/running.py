"""Runs a command on the devices of a testbed, over mpirun, as ``launch`` does on real hosts.

mpirun itself runs on the first device, as it would on the board that one types on.  What watches
over it stays outside, where no limit and no fault reaches it.
"""

import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.launch import command, hostfile, job
from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host
from mpiedge.launch.supervise import supervise
from mpiedge.testbed import groups
from mpiedge.testbed.faults import said
from mpiedge.testbed.network import SUBNET
from mpiedge.testbed.standing import Standing

LOOK = 0.2  # seconds between two looks at the log of faults


def job_of(
    standing: Standing,
    words: Sequence[str],
    environment: Mapping[str, str],
    *,
    commands: Sequence[str],
    ranks: int | None = None,
) -> Job:
    """The job that runs a command of mpiedge, or any program, with a rank on each device."""
    if not words:
        raise BadInput("run what?  Add '-- train RUN.toml', say")
    hosts = tuple(Host(device.name, 1) for device in standing.devices)
    if ranks is not None and not 1 <= ranks <= len(hosts):
        raise BadInput(f"-n {ranks} is not a number of ranks from 1 to the {len(hosts)} devices")
    own = (sys.executable, "-m")
    if words[0] in commands:
        program = (*own, "mpiedge", *words)
    else:
        program = (*own, "mpiedge.testbed.program", _found(words[0], commands), *words[1:])
    return Job(
        program=program,
        ranks=ranks or len(hosts),
        hosts=hostfile.first(hosts, ranks or len(hosts)),
        subnets=SUBNET,
        variables=job.variables(environment, 0),
        root=True,
    )


def line(standing: Standing, planned: Job) -> tuple[str, ...]:
    """The command line that starts a job on the first device."""
    return (standing.enter(standing.devices[0]), *command.words(job.mpirun(), planned))


def run(
    standing: Standing,
    planned: Job,
    environment: Mapping[str, str],
    *,
    reads: bool = False,
) -> int:
    """Run a job to its end; faults and full memories are said on the standard error."""
    before = {device.name: groups.kills(standing.group_of(device)) for device in standing.devices}
    agent = {"PRTE_MCA_plm_ssh_agent": str(standing.folder / "agent")}
    words = line(standing, planned)
    with _faults_said(standing.events):
        code = supervise(words, planned.program, {**environment, **agent}, reads=reads)
    for complaint in full(standing, before):
        print(f"mpiedge: {complaint}", file=sys.stderr)
    return code


def full(standing: Standing, before: Mapping[str, int]) -> list[str]:
    """The devices whose memory was full since ``before``, a line each."""
    found = []
    for device in standing.devices:
        count = groups.kills(standing.group_of(device)) - before[device.name]
        if count > 0:
            processes = "a process" if count == 1 else f"{count} processes"
            found.append(
                f"{device.name} ran out of memory: the kernel killed {processes} there at its "
                f"limit of {device.memory / 2**20:.0f} MiB"
            )
    return found


def _found(program: str, commands: Sequence[str]) -> str:
    """Where a program is; ``python`` is the one that mpiedge runs in."""
    place = sys.executable if program == "python" else shutil.which(program)
    if place is None:
        raise BadInput(
            f"{program!r} is neither a command of mpiedge ({', '.join(commands)}) nor a program "
            "of this machine"
        )
    return os.path.abspath(place)


@contextmanager
def _faults_said(events: Path) -> Iterator[None]:
    """Print the faults that other commands make while the block runs, when they come."""
    over = threading.Event()
    place = events.stat().st_size if events.exists() else 0
    thread = threading.Thread(target=_follow, args=(events, place, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _follow(events: Path, place: int, over: threading.Event) -> None:
    began, last = time.time(), False
    while not last:
        last = over.wait(LOOK)
        with suppress(FileNotFoundError), events.open(encoding="utf-8") as log:
            log.seek(place)
            for text in log:
                event = json.loads(text)
                seconds = event["time"] - began
                print(f"mpiedge: {said(event)} ({seconds:.1f} s into the run)", file=sys.stderr)
            place = log.tell()
