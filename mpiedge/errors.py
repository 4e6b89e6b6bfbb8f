"""What can go wrong that is not a bug of ours.

Kept at the bottom of the import order, so that every layer can raise it and the command line
can turn it into one line and an exit code.
"""


class BadInput(ValueError):
    """What the user gave cannot be used.

    The message is one line: what was wrong, both values, how to repair it.  The command line
    prints it on one rank and ends with exit code 2, before any work has started.
    """


class Stopped(RuntimeError):
    """All ranks ended the run together, as a signal asked them to; it can go on later."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
        """The exit code: 128 and the signal's number."""


class DiskError(RuntimeError):
    """A rank's disk failed the run; its checkpoints are there to go on from."""

    code = 1
    """The exit code."""


class NotWritten(DiskError):
    """The result of a run could not be put on the disk: to start again would end the same way."""

    code = 73  # EX_CANTCREAT


class NotRead(DiskError):
    """What a run kept for itself is not what it wrote: started again, it goes on without it."""

    code = 74  # EX_IOERR


class RankLost(RuntimeError):
    """Another rank was waited for and did not answer within ``comm.timeout`` seconds."""
