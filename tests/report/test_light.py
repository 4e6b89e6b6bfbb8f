"""What a report needs: neither torch nor MPI, so that it is there at once on any machine."""

import subprocess
import sys


def test_neither_torch_nor_mpi_is_loaded() -> None:
    program = (
        "import sys, mpiedge.report.page, mpiedge.report.reading, mpiedge.cli.report\n"
        "print(sorted({'torch', 'mpi4py', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['matplotlib']"
