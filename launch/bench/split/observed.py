"""``mpiedge`` on a device of a given speed, with its operations counted.

    python observed.py FOLDER SPEEDS COUNT train RUN.toml ...

Rank r of SPEEDS computes at that part of this machine's speed: it sleeps after each piece of work,
by what the work took of the processor, so that other work on this machine matters little.
With COUNT 1 torch's counter runs along, which slows the work itself, so that either time or
operations are measured.  FOLDER/rank-r.json gets the operations: two for a multiplication with its
addition, of matrix products and attention only, as torch.utils.flop_counter counts them.
"""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from torch.utils.flop_counter import FlopCounterMode

from mpiedge.__main__ import main
from mpiedge.comm.connect import announced_rank
from mpiedge.pipeline.engine import Engine
from mpiedge.run.forward import Forward


def slowed(sound, speed):
    """The same work, and then the sleep that makes it as slow as it would be there."""

    def work(*given, **named):
        start, spent = time.perf_counter(), time.thread_time()
        result = sound(*given, **named)
        there = (time.thread_time() - spent) / speed
        time.sleep(max(0.0, start + there - time.perf_counter()))
        return result

    return work


def run(folder, speeds, count, words):
    """One rank's part of a run; gives its exit code."""
    speed = speeds[announced_rank() % len(speeds)]
    Engine._timed, Forward._run = slowed(Engine._timed, speed), slowed(Forward._run, speed)
    counter = FlopCounterMode(display=False) if count else nullcontext()
    with counter:
        code = main(words)
    if count:
        place = Path(folder) / f"rank-{announced_rank()}.json"
        place.write_text(json.dumps({"operations": counter.get_total_flops()}), encoding="utf-8")
    return code


if __name__ == "__main__":
    folder, speeds, count, *words = sys.argv[1:]
    sys.exit(run(folder, [float(each) for each in speeds.split(",")], count == "1", words))
