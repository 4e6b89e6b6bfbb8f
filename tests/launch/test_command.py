"""The mpirun command, flag by flag."""

from dataclasses import replace
from pathlib import Path

from mpiedge.launch.command import Job, words
from mpiedge.launch.hostfile import Host

MPIRUN = Path("/env/bin/mpirun")
LOCAL = Job(program=("/env/bin/python", "-m", "mpiedge", "train", "a.toml"), ranks=4)
SPREAD = replace(LOCAL, hosts=(Host("pi-0", 1), Host("pi-1", 3)), subnets="10.0.0.0/24")


def follows(line: tuple[str, ...], *expected: str) -> bool:
    spots = range(len(line) - len(expected) + 1)
    return any(line[spot : spot + len(expected)] == expected for spot in spots)


def test_one_machine() -> None:
    line = words(MPIRUN, LOCAL)
    assert line[0] == "/env/bin/mpirun"
    assert follows(line, "--map-by", ":OVERSUBSCRIBE", "--bind-to", "none")
    assert follows(line, "--mca", "mpi_yield_when_idle", "1")
    assert line[-7:] == ("-n", "4", *LOCAL.program)
    assert "--host" not in line
    assert "--allow-run-as-root" not in line


def test_several_hosts_share_the_ranks_and_speak_over_the_named_network() -> None:
    line = words(MPIRUN, SPREAD)
    assert follows(line, "--host", "pi-0:1,pi-1:3", "--map-by", "slot")
    assert follows(line, "--mca", "pml", "ob1")
    assert follows(line, "--mca", "btl", "self,sm,tcp")
    assert follows(line, "--mca", "btl_tcp_if_include", "10.0.0.0/24")
    assert follows(line, "--prtemca", "oob_tcp_if_include", "10.0.0.0/24")
    assert follows(line, "--bind-to", "none")
    # it would put every rank on the first host
    assert ":OVERSUBSCRIBE" not in line


def test_root_variables_and_settings_of_open_mpi() -> None:
    job = replace(LOCAL, root=True, variables=("A=1", "B"), mca=(("btl", "self"), ("x", "y z")))
    line = words(MPIRUN, job)
    assert line[1] == "--allow-run-as-root"
    assert follows(line, "-x", "A=1", "-x", "B")
    assert follows(line, "--mca", "btl", "self", "--mca", "x", "y z")
