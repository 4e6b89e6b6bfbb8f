"""Real ranks for tests: ``mpirun`` in a session of its own, with a time limit that holds."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MPIRUN = Path(sys.executable).parent / "mpirun"

LOCAL = ("--allow-run-as-root", "--map-by", ":OVERSUBSCRIBE", "--bind-to", "none")
YIELD = ("--mca", "mpi_yield_when_idle", "1")
# An mpirun that was killed leaves its session, and a later one of that process number refuses to
# start: in folders of their own they never meet.
SESSIONS = tempfile.TemporaryDirectory(prefix="sessions-", ignore_cleanup_errors=True)
TCP = ("--mca", "pml", "ob1", "--mca", "btl", "self,tcp", "--mca", "btl_tcp_if_include", "lo")


def mpirun(
    n: int, program: Path, *args: str, limit: float = 60.0, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a Python program on ``n`` ranks; whatever it left is killed after ``limit`` seconds."""
    command = [MPIRUN, *LOCAL, *YIELD, *flags, "-n", str(n), sys.executable, program, *args]
    process = subprocess.Popen(
        [str(word) for word in command],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired as late:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        message = f"mpirun took more than {limit} s\n{out[-2000:]}\n{err[-2000:]}"
        raise AssertionError(message) from late
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def environment() -> dict[str, str]:
    """Ours, without what a surrounding ``mpirun`` left in it."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMIX_", "PRTE_"))}
    session = {"PRTE_MCA_prte_local_tmpdir_base": tempfile.mkdtemp(dir=SESSIONS.name)}
    return {**session, **mine, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
