"""One rank of the contract over MPI: prints the name of each check that held on it."""

import os

from mpiedge.comm.connect import connect
from mpiedge.comm.failure import ends_job
from tests.comm.contract import CHECKS, TIMEOUT


def main() -> None:
    transport = connect(TIMEOUT)
    with ends_job(transport):
        for check in CHECKS:
            check(transport)
            os.write(1, f"{check.__name__} held on rank {transport.rank}\n".encode())
        transport.close()


if __name__ == "__main__":
    main()
