"""Sums of arrays over all ranks, timed: around mpiedge's ring, and by MPI."""

import json
import os
import resource
import time
from itertools import count
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mpiedge.comm.pause import Pause
from mpiedge.comm.ring_sum import RingSum


def _timed(comm, act):
    """Seconds until all have the sum, and this rank's processor time."""
    comm.Barrier()
    start, spent = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    act()
    comm.Barrier()
    now = resource.getrusage(resource.RUSAGE_SELF)
    processor = now.ru_utime + now.ru_stime - spent.ru_utime - spent.ru_stime
    return time.perf_counter() - start, processor


def run():
    """Time them all and end the process."""
    comm = MPI.COMM_WORLD

    def wait(done):
        pause = Pause(4e-3)  # as the transport waits
        while not done():
            pause.rest()

    numbers = count()

    def ring(array):
        pause = Pause(4e-3)
        under_way = RingSum(comm, array, next(numbers), pause.reset)
        while not under_way.done:
            if not under_way.step():
                pause.rest()

    asked = json.loads(Path(__file__).with_name("asked.json").read_text(encoding="utf-8"))
    for mebibytes in asked["mebibytes"]:
        array = np.zeros(int(mebibytes * 2**18), dtype=np.float32)
        sides = {
            "ring": lambda a=array: ring(a),
            "MPI, waits": lambda a=array: comm.Allreduce(MPI.IN_PLACE, a),
            "MPI, does not": lambda a=array: wait(comm.Iallreduce(MPI.IN_PLACE, a).Test),
        }
        for number in range(asked["rounds"] + 1):
            for side, act in sides.items():
                seconds, processor = _timed(comm, act)
                row = {"mebibytes": mebibytes, "side": side, "seconds": seconds}
                if number and comm.Get_rank() == 0:  # the first is not counted
                    print(json.dumps({**row, "processor": processor}), flush=True)
    MPI.Finalize()
    os._exit(0)
