"""Which ranks have data, and which one serves them.

    ring                 every rank has clients; no server
    split, deft, ...     rank 0 serves and has no clients, the others have   server_has_data = false
                         every rank has clients, rank 0 serves them too      server_has_data = true
    split of 2 servers   ranks 0 and 1 serve, the others have clients; with server_has_data rank 0

Alone, a rank stands in for everybody.
"""

from typing import NamedTuple

from mpiedge.errors import BadInput
from mpiedge.strategy.settings import StrategySettings

SERVED = frozenset({"split", "splitlora", "deft", "fedlora"})
"""Strategies with a server."""

SERVER = 0


class Roles(NamedTuple):
    """The ranks with data, in whose order clients are dealt to them."""

    devices: tuple[int, ...]

    def home(self, client: int) -> int:
        """The rank that has a client's data; where there are more clients than ranks, of many."""
        return self.devices[client % len(self.devices)]

    def clients_on(self, rank: int, count: int) -> tuple[int, ...]:
        """Which of ``count`` clients are at home on a rank."""
        return tuple(client for client in range(count) if self.home(client) == rank)


def roles(settings: StrategySettings, ranks: int) -> Roles:
    """The roles of ``ranks`` ranks."""
    if settings.name not in SERVED:
        return Roles(tuple(range(ranks)))
    own = (SERVER,) if settings.server_has_data else ()
    return Roles((*own, *range(settings.servers, ranks)) or (SERVER,))


def client_count(settings: StrategySettings, ranks: int, files: int) -> int:
    """How many clients there are: as many as asked for, as files are named, or as devices.

    Raises BadInput where two of them differ.
    """
    if settings.clients and files and settings.clients != files:
        raise BadInput(
            f"strategy.clients is {settings.clients}, but task.client_files names {files} files; "
            f"name one for each client"
        )
    return settings.clients or files or len(roles(settings, ranks).devices)
