"""A job as one rank of it: connect, read the settings, work, leave together."""

from collections.abc import Callable

from mpiedge.comm.connect import connect
from mpiedge.comm.failure import ends_job
from mpiedge.comm.settings import CommSettings
from mpiedge.comm.transport import Transport
from mpiedge.comm.values import SharedBadInput, collectively
from mpiedge.config import RunSettings
from mpiedge.errors import BadInput, Stopped


def as_rank(
    read: Callable[[], RunSettings], work: Callable[[RunSettings, Transport], None]
) -> None:
    """Do ``work`` on every rank of this job; what is wrong on one of them ends all of them.

    Settings are read before the ranks meet, since they say how long to wait for one another; what
    is wrong with them is said once all can hear it.
    """
    settings, complaint = _tried(read)
    transport = connect((settings.comm if settings else CommSettings()).timeout)
    with ends_job(transport):
        try:
            work(collectively(transport, lambda: _settled(settings, complaint)), transport)
        except (SharedBadInput, Stopped):
            transport.close()  # every rank is here
            raise
        transport.close()


def _tried(read: Callable[[], RunSettings]) -> tuple[RunSettings | None, BadInput | None]:
    try:
        return read(), None
    except BadInput as bad:
        return None, bad


def _settled(settings: RunSettings | None, complaint: BadInput | None) -> RunSettings:
    if settings is None:
        raise complaint or BadInput("no settings")
    return settings
