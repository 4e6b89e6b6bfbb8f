"""The processes of a job on this machine.

mpirun is started as the leader of a session of its own, so whatever it started is found by the
session's number, even after mpirun itself is gone and its children belong to somebody else.
"""

import contextlib
import os
import signal
from collections.abc import Sequence

import psutil

UNSEEN = (psutil.NoSuchProcess, psutil.AccessDenied)


def session(leader: int) -> list[psutil.Process]:
    """The processes that run in the session of ``leader``."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.NoSuchProcess):
            if os.getsid(pid) == leader:
                found.append(psutil.Process(pid))
    return [process for process in found if _runs(process)]


def ranks(leader: int, program: Sequence[str]) -> list[psutil.Process]:
    """The ranks among them: those that run ``program``."""
    return [each for each in session(leader) if _command(each) == list(program)]


def send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill(leader: int) -> None:
    """Kill whatever is left of a session, and what it starts while it is being killed."""
    for _ in range(10):
        left = session(leader)
        if not left:
            return
        send(left, signal.SIGKILL)
        psutil.wait_procs(left, timeout=0.5)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except UNSEEN:
        return []
