import os
import subprocess
import sys

import pytest

from mpiedge.comm.connect import announced_rank, announced_size, check_size, connect
from mpiedge.errors import BadInput
from tests.mpirun import LOCAL, MPIRUN, environment


@pytest.fixture
def no_mpirun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OMPI_", "PMI_", "PMIX_", "SLURM_")):
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
    [
        ("OMPI_COMM_WORLD_SIZE", "4", 4, 0),
        ("PMI_SIZE", "3", 3, 0),
        ("PMIX_RANK", "2", 3, 2),
        ("SLURM_STEP_NUM_TASKS", "5", 5, 0),
    ],
)
def test_any_launcher_is_seen(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, size: int, rank: int
) -> None:
    monkeypatch.setenv(name, value)
    assert (announced_size(), announced_rank()) == (size, rank)


def test_an_mpirun_of_another_mpi_is_bad_input() -> None:
    with pytest.raises(BadInput, match="^4 or more ranks were started but .* X, sees 1"):
        check_size(4, 1, "X")
    check_size(4, 4, "X")
    check_size(3, 4, "X")


@pytest.mark.usefixtures("no_mpirun")
def test_an_mpirun_within_slurm_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")  # of the step in which mpirun's helpers run
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "1")
    assert announced_size() == 1


@pytest.mark.mpi_skip
@pytest.mark.parametrize("variables", [{}, {"SLURM_STEP_NUM_TASKS": "2"}], ids=["pmix", "srun"])
def test_a_launcher_that_speaks_only_pmix(variables: dict[str, str]) -> None:
    """As ``srun --mpi=pmix``: nothing of Open MPI's own is said to the ranks."""
    program = (
        "import os; from mpiedge.comm.connect import connect; one = connect(20); "
        "own = [name for name in os.environ if name.startswith('OMPI_COMM')]; "
        "print(f'rank {one.rank} of {one.size}', own, flush=True); one.close()"
    )
    starter = (str(MPIRUN.with_name("prterun")), "--personality", "prte", *LOCAL, "-n", "2")
    done = subprocess.run(
        (*starter, sys.executable, "-c", program),
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["rank 0 of 2 []", "rank 1 of 2 []"]
