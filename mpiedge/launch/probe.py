"""Which hosts still answer, and can start a program.

They are asked as mpirun starts its daemons: by ssh, or by the agent that Open MPI was told to use
in its place.  A host that is cut off or frozen does not answer; it is not waited for for long.
"""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host

PATIENCE = 10.0  # seconds that a host has for its answer
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=5 -o StrictHostKeyChecking=accept-new"
_NAME = "plm_ssh_agent"


def agent(job: Job, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The words before a host's name that run a command there."""
    return agent_of(environment, dict(job.mca).get(_NAME))


def agent_of(environment: Mapping[str, str], given: str | None = None) -> tuple[str, ...]:
    """The same without a job: what is ``given``, or what the environment says, or ssh."""
    return tuple(shlex.split(given or environment.get(f"PRTE_MCA_{_NAME}") or _SSH))


def question(job: Job, name: str, environment: Mapping[str, str]) -> str:
    """The command that a host is asked to run: it ends what is left of the job ``name``."""
    path = environment.get("PYTHONPATH")
    words = [*(["env", f"PYTHONPATH={path}"] if path else []), job.program[0]]
    return shlex.join([*words, "-m", "mpiedge.launch.sweep", name])


def answering(
    hosts: Sequence[Host], agent: Sequence[str], question: str, patience: float = PATIENCE
) -> frozenset[str]:
    """The names of the hosts that do what they are asked; all are asked at once."""

    def asked(host: Host) -> bool:
        try:
            done = subprocess.run(
                (*agent, host.name, question),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=patience,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    with ThreadPoolExecutor(max(1, len(hosts))) as pool:
        found = tuple(pool.map(asked, hosts))
    return frozenset(host.name for host, there in zip(hosts, found, strict=True) if there)
