"""What ``launch --max-restarts`` knows of a train: how far it is, how to run it, who answers."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from mpiedge.cli.train import folder_of, train
from mpiedge.launch import command, probe
from mpiedge.launch.again import Reached, Surroundings
from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host
from mpiedge.launch.job import mpirun
from mpiedge.launch.supervise import Outcome, attempt
from mpiedge.launch.sweep import VARIABLE

STATUS = "status.json"


def surroundings(words: Sequence[str], environment: Mapping[str, str]) -> Surroundings:
    """Those of the command ``words``, a train and its arguments."""
    arguments = train.make_context("train", list(words[1:]), resilient_parsing=True).params
    given = (arguments.get("run_file"), arguments.get("output_dir"), arguments.get("resume"))
    folder = folder_of(given[0] or Path(), given[1], given[2])
    began, name = time.time(), token_hex(8)
    asking: list[Job] = []

    def run(job: Job) -> Outcome:
        marked = {**environment, VARIABLE: name}
        asking[:] = [job]
        told = replace(job, variables=(*job.variables, f"{VARIABLE}={name}"))
        return attempt(command.words(mpirun(), told), job.program, marked)

    def answering(hosts: Sequence[Host]) -> frozenset[str]:
        (job,) = asking
        agent, question = probe.agent(job, environment), probe.question(job, name, environment)
        return probe.answering(hosts, agent, question)

    return Surroundings(run, lambda: reached(folder / STATUS, began), answering)


def reached(path: Path, since: float) -> Reached:
    """What a run's status says, if it was written ``since`` then (seconds since 1970)."""
    try:
        status: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if status["time"] < since:
            return Reached()
        return Reached(int(status.get("step", 0)), status["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError):
        return Reached()
