"""A run as it would be opened on devices that are not here: what is planned before any is used.

One process knows the model and the data; how many ranks there are, and what each can hold, is
said and not looked up.  Apart from opening a run, where every rank looks for itself.
"""

from dataclasses import replace

from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.plan.cluster import Cluster
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
    if opened.cluster is not None and size == 1:
        return _on_cluster(opened, opened.cluster, ranks)
    if size > 1 or ranks <= 1:
        return replace(opened, settings=_with_clients(opened.settings, size))
    here = opened.host
    hosts = tuple(Host(f"device {rank}", here.free_memory, 1, 0) for rank in range(ranks))
    return replace(opened, hosts=hosts, settings=_with_clients(opened.settings, ranks))


def _on_cluster(opened: Opened, cluster: Cluster, ranks: int) -> Opened:
    """The run on the first devices of a cluster; 0: on all of them.

    A device whose memory the profile does not say has that of this one.
    """
    count = ranks or len(cluster.members)
    if count > len(cluster.members):
        raise BadInput(
            f"--ranks {count} is more than the {len(cluster.members)} devices in "
            f"{opened.settings.strategy.cluster}; leave it out, or add devices there"
        )
    used = cluster.first(count)
    free = opened.host.free_memory
    hosts = tuple(Host(one.host or one.name, one.memory or free, 1, 0) for one in used.members)
    settings = _with_clients(opened.settings, count)
    return replace(opened, hosts=hosts, settings=settings, cluster=used)


def _with_clients(settings: RunSettings, ranks: int) -> RunSettings:
    """The settings with the number of clients that there are on so many ranks."""
    if settings.strategy.name not in AT_CLIENTS:
        return settings
    count = client_count(settings.strategy, ranks, len(settings.task.client_files))
    return replace(settings, strategy=replace(settings.strategy, clients=count))
