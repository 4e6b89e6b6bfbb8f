import os
import subprocess
import sys

import pytest

from mpiedge.comm.connect import announced_rank, announced_size, check_size, connect
from mpiedge.errors import BadInput


@pytest.fixture
def no_mpirun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PMI_", "PMIX_")):
            monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_mpirun")
def test_without_mpirun_a_run_is_alone() -> None:
    assert announced_size() == 1
    transport = connect(5)
    assert (transport.rank, transport.size) == (0, 1)
    transport.close()


@pytest.mark.usefixtures("no_mpirun")
def test_a_run_alone_does_not_import_mpi() -> None:
    program = (
        "import sys; from mpiedge.comm.connect import connect; import mpiedge.comm.failure; "
        "connect(5).close(); sys.exit('mpi4py' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert (
        subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode
        == 0
    )


@pytest.mark.usefixtures("no_mpirun")
@pytest.mark.parametrize(
    ("name", "value", "size", "rank"),
    [("OMPI_COMM_WORLD_SIZE", "4", 4, 0), ("PMI_SIZE", "3", 3, 0), ("PMIX_RANK", "2", 3, 2)],
)
def test_any_mpirun_is_seen(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, size: int, rank: int
) -> None:
    monkeypatch.setenv(name, value)
    assert (announced_size(), announced_rank()) == (size, rank)


def test_an_mpirun_of_another_mpi_is_bad_input() -> None:
    with pytest.raises(BadInput, match="started 4 or more ranks but mpi4py, which uses X, sees 1"):
        check_size(4, 1, "X")
    check_size(4, 4, "X")
    check_size(3, 4, "X")
