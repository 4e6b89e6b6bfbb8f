"""One rank of the contract over MPI: prints the name of each check that held on it.

With ``apart`` each rank believes itself on a host of its own, and messages are cut for a link.
"""

import os
import socket
import sys

from mpiedge.comm.connect import connect
from mpiedge.comm.failure import ends_job
from tests.comm.contract import BETWEEN_HOSTS, CHECKS, TIMEOUT


def main() -> None:
    apart = sys.argv[1:] == ["apart"]
    if apart:
        name = f"host-{os.environ['OMPI_COMM_WORLD_RANK']}"
        socket.gethostname = lambda: name
    transport = connect(TIMEOUT)
    with ends_job(transport):
        for check in BETWEEN_HOSTS if apart else CHECKS:
            check(transport)
            os.write(1, f"{check.__name__} held on rank {transport.rank}\n".encode())
        transport.close()


if __name__ == "__main__":
    main()
