"""How long planning and simulation take, by the number of devices.

Every size is worked out ``--times`` times, or once if that takes more than two seconds, in this
process and on one core.  The median of the processor's seconds counts, so that other work on the
machine says little.
"""

import argparse
import json
import time
from math import inf
from pathlib import Path
from statistics import median

from drawing import draw
from inputs import hybrid_plan, pipeline_plan, replicas_plan, work

from mpiedge.plan.arrange import Ring, arrange
from mpiedge.plan.balance import balance
from mpiedge.plan.crowd import limit
from mpiedge.plan.grouping import Problem
from mpiedge.plan.hybrid import groupings
from mpiedge.plan.loads import Loads
from mpiedge.plan.schedule import simulate
from mpiedge.strategy.baselines import data_parallel
from mpiedge.strategy.pac import pac
from mpiedge.strategy.settings import StrategySettings

HERE = Path(__file__).parent
ROOMY = (2**20, 2**21)  # MiB of memory: everything fits

LIMITS = {  # what is measured, its size -> seconds it may take
    ("pac, 48 layers", 8): 0.2,
    ("pac, 96 layers", 1000): 10.0,
    ("ring order, 48 blocks", 8): 0.2,
    ("simulate pipeline, 100 batches", 1000): 60.0,
    ("simulate data-parallel, 100 batches", 1000): 60.0,
    ("simulate hybrid, 100 batches", 1000): 60.0,
}


def main():
    """Measure, print, and write ``results.json`` and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--figure", type=Path, help="where to draw the curves, a PNG")
    parser.add_argument("--drawn", type=Path, help="draw these results, and measure nothing")
    parser.add_argument("--quick", action="store_true", help="few ranks, once, kept nowhere")
    given = parser.parse_args()
    if given.drawn:
        rows = json.loads(given.drawn.read_text())["rows"]
    elif given.quick:
        rows = measured(1, most=FEW)
    else:
        rows = measured(given.times)
        result = {"times": given.times, "rows": rows, "near the bound": nearness()}
        (HERE / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    if given.figure:
        draw(rows, LIMITS, given.figure)


def measured(times, most=inf):
    """A row for each thing and size, of up to so many ranks."""
    rows = []
    for name, sizes, made, run in CASES:
        for size in (each for each in sizes if each <= most):
            given = made(size)
            found = [seconds_of(run, given)]
            again = times - 1 if found[0] < 2 else 0
            seconds = median(found + [seconds_of(run, given) for _ in range(again)])
            allowed = LIMITS.get((name, size))
            rows.append({"what": name, "size": size, "seconds": seconds, "limit": allowed})
            said = "" if allowed is None else f"  limit {allowed} s"
            print(f"{name:40} {size:5} {seconds:9.3f} s{said}", flush=True)
    return rows


def seconds_of(run, given):
    """Processor seconds of one run."""
    start = time.process_time()
    run(given)
    return time.process_time() - start


def plan_pac(given):
    """Both phases of pac."""
    return pac(StrategySettings(name="pac"), given)


def plan_data_parallel(given):
    """Replicas, with shares by speed."""
    return data_parallel(StrategySettings(name="data-parallel"), given)


def plan_balance(given):
    """A cut over all ranks."""
    return balance(given.cost, given.ranks, given.trainable)


def plan_ring(given):
    """Blocks over a ring, in the best order or by speed."""
    blocks = tuple(given.layers)[1:-1]
    return arrange(Ring(given.cost, blocks, (1.0,) * len(blocks), (0,) * len(given.ranks)))


def play(plan):
    """A hundred batches."""
    return simulate(plan, batches=100)


def _pac(layers):
    return lambda devices: work(devices, layers, micro_batches=max(32, devices))


FEW = 24  # ranks of the quick form
SMALL, LARGE = (2, 4, 8, 12, 16), (24, 50, 100, 200, 500, 1000)
CASES = [
    ("pac, 48 layers", SMALL, _pac(48), plan_pac),
    ("pac, 96 layers", (*SMALL, *LARGE), _pac(96), plan_pac),
    ("data-parallel, 96 layers", LARGE, lambda n: work(n, 96, n, ROOMY), plan_data_parallel),
    (
        "pipeline, 50 layers more than ranks",
        LARGE,
        lambda n: work(n, n + 50, 8, ROOMY),
        plan_balance,
    ),
    ("ring order, 48 blocks", (2, 4, 6, 8), lambda n: work(n, 50, 8, ROOMY), plan_ring),
    ("ring by speed, 50 blocks more", LARGE, lambda n: work(n, n + 52, 8, ROOMY), plan_ring),
    ("simulate pipeline, 100 batches", (10, *LARGE[1:]), pipeline_plan, play),
    ("simulate data-parallel, 100 batches", (10, *LARGE[1:]), replicas_plan, play),
    ("simulate hybrid, 100 batches", (10, *LARGE[1:]), hybrid_plan, play),
]


def nearness():
    """How far the slowest stage of the best cut of many devices is from the bound, by cluster."""
    found = {}
    for devices in (24, 100, 1000):
        ratios = []
        for seed in range(5):
            given = work(devices, 96, micro_batches=4 * devices, seed=seed)
            problem = Problem(given.cost, given.trainable, given.micro_batches, 1, together=False)
            loads, prices = Loads(problem), []
            for one in groupings(problem):
                left = range(len(one.groups), 0, -1)
                each = zip(one.groups, left, strict=True)
                prices.append(max(_price(loads, group, stages) for group, stages in each))
            ratios.append(min(prices) / limit(problem))
        found[devices] = [round(float(ratio), 4) for ratio in ratios]
        print(f"{devices} devices, slowest stage against the bound: {found[devices]}", flush=True)
    return found


def _price(loads, group, stages):
    return loads.seconds(group.ranks, stages)[group.layers.start, group.layers.stop - 1]


if __name__ == "__main__":
    main()
