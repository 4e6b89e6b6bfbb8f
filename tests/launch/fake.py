"""Programs that behave as mpirun does on its bad days."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mpiedge.launch.supervise import Patience, supervise

BEGIN = "import os, signal, subprocess, sys, time\n"
REPORT = "open(os.environ['MPIEDGE_ENDED'], 'w').write('{\"exit_code\": %d}')\n"
QUICK = Patience(done=0.5, told=0.5)
RANK = (sys.executable, "-c", "import time; time.sleep(60)")


def words(script: str) -> tuple[str, ...]:
    """A command line that runs ``script`` in place of mpirun."""
    return (sys.executable, "-c", BEGIN + script)


def run(script: str, program: Sequence[str] = RANK) -> int:
    """The exit code of a supervised script."""
    return supervise(words(script), program, {"PATH": "/usr/bin:/bin"}, patience=QUICK)


def launcher(script: str, folder: Path) -> subprocess.Popen[bytes]:
    """A process of its own that supervises ``script``, once that has made ``folder/ready``."""
    inner = (
        "import sys\n"
        "from mpiedge.launch.supervise import Patience, supervise\n"
        f"sys.exit(supervise({words(script)!r}, {RANK!r}, {{}}, patience=Patience(1.0, 1.0)))\n"
    )
    process = subprocess.Popen(
        (sys.executable, "-c", inner), stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    until(folder / "ready")
    return process


def until(path: Path, seconds: float = 20.0) -> None:
    """Wait for a file."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def tell(process: subprocess.Popen[bytes], number: signal.Signals, times: int = 1) -> int:
    """Send a signal and wait for the end; the exit code."""
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.2)
    process.communicate(timeout=20)
    return int(process.returncode)
