"""A run as it would be opened on devices that are not here: what is planned before any is used.

One process knows the model and the data; how many ranks there are, and what each can hold, is
said and not looked up.  Apart from opening a run, where every rank looks for itself.
"""

from dataclasses import replace

from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.run.opening import Host, Opened
from mpiedge.strategy.registry import AT_CLIENTS
from mpiedge.strategy.roles import client_count


def imagined(opened: Opened, ranks: int) -> Opened:
    """The run as on ``ranks`` devices like this one, each a machine by itself; 0: those there are.

    Raises BadInput where the run is on several ranks already and ``ranks`` is another number.
    """
    size = opened.transport.size
    if size > 1 and ranks not in (0, size):
        raise BadInput(
            f"--ranks {ranks} is not the {size} ranks that were started; leave it out, or plan "
            f"without mpirun"
        )
    if size > 1 or ranks <= 1:
        return replace(opened, settings=_with_clients(opened.settings, size))
    here = opened.host
    hosts = tuple(Host(f"device {rank}", here.free_memory, 1, 0) for rank in range(ranks))
    return replace(opened, hosts=hosts, settings=_with_clients(opened.settings, ranks))


def _with_clients(settings: RunSettings, ranks: int) -> RunSettings:
    """The settings with the number of clients that there are on so many ranks."""
    if settings.strategy.name not in AT_CLIENTS:
        return settings
    count = client_count(settings.strategy, ranks, len(settings.task.client_files))
    return replace(settings, strategy=replace(settings.strategy, clients=count))
