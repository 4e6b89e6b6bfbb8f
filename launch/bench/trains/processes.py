"""What every benchmark starts its processes with: one thread each, and ranks that share cores."""

import os
import sys
from pathlib import Path

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONPATH": str(Path(__file__).parents[3]),
}
MPIRUN = [str(Path(sys.executable).parent / "mpirun"), "--allow-run-as-root", "--bind-to", "none"]
MPIRUN += ["--map-by", ":OVERSUBSCRIBE", "--mca", "mpi_yield_when_idle", "1"]
