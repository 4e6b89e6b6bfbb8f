"""One rank's part of a training job, whoever asks for it: the command line or a Python program."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import collectively
from mpiedge.config import RunSettings
from mpiedge.errors import Stopped
from mpiedge.model.load import unload
from mpiedge.run import training
from mpiedge.run.checkpoints import Checkpoints, begun
from mpiedge.run.journal import Journal
from mpiedge.run.opening import Opened, open_run
from mpiedge.run.output import Output
from mpiedge.run.progress import Progress
from mpiedge.run.reporting import reports
from mpiedge.run.resuming import Resumed, find, there_is, uncached
from mpiedge.run.sizing import sized, sized_before
from mpiedge.run.slowing import Slowed, replanned
from mpiedge.run.tracing import begin


class Job(NamedTuple):
    """Where it goes, and how it begins."""

    folder: Path  # for the result
    beside: Path  # where paths are looked for that are not found from the current folder
    resume: bool = False  # go on with what was begun in the folder
    anew: bool = False  # go on with it where that can be, else begin
    trace: bool = False  # write what every rank did when


def train(
    settings: RunSettings, transport: Transport, job: Job, progress: Progress
) -> dict[str, float]:
    """Train as settings say; the last scores, on rank 0.  Called by all ranks.

    Raises BadInput on all of them where the run cannot be, and Stopped where a signal ended it.
    """
    folder = job.folder
    here = transport.rank == 0
    output = collectively(transport, lambda: Output(folder) if here else None)
    told = settings.training.report_to if here else ()
    journal = Journal(output, progress, collectively(transport, lambda: reports(told, folder)))
    try:
        if job.anew:
            job = job._replace(resume=there_is(transport, folder))
            if not job.resume:
                journal.say(f"there is no whole checkpoint in {folder}: training from the start")
        opened = open_run(uncached(settings) if job.resume else settings, transport, job.beside)
        opened = sized_before(opened, folder) if job.resume else sized(opened)
        opened, tracing = begin(opened) if job.trace else (opened, None)
        resumed = find(opened, folder) if job.resume else None
        checkpoints = begun(opened, folder, journal, resumed)
        with checkpoints.stopping.heard():
            _train(opened, checkpoints, resumed, folder)
        if tracing is not None:
            tracing.finish(folder)
    except Exception as failure:
        if not isinstance(failure, Stopped):
            journal.status.state("failed")
        raise
    finally:
        journal.close()
    return journal.scores


def _train(opened: Opened, checkpoints: Checkpoints, resumed: Resumed | None, folder: Path) -> None:
    """Train to the end; where a rank became slow, from a checkpoint on with another plan."""
    while True:
        try:
            training.train(opened, checkpoints, resumed)
        except Slowed as slow:
            opened = replanned(opened, slow)
        else:
            return
        opened = replace(opened, settings=uncached(opened.settings))
        unload(opened.blueprint, frozenset())
        resumed = find(opened, folder)
        stopping = checkpoints.stopping  # hears the signals already
        checkpoints = begun(opened, folder, checkpoints.journal, resumed)
        checkpoints.stopping = stopping
