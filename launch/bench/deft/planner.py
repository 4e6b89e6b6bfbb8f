"""How long CRUNCH and JBBA take, how near dual ascent comes, and what a better plan gains.

Pure planning on drawn devices: no model, no MPI.  Prints a line a part and writes planner.json.
"""

import argparse
import json
import os
import time
from pathlib import Path
from statistics import median

import numpy as np

from mpiedge.plan.bandwidth_problem import problem_of
from mpiedge.plan.dual_ascent import ascend_deadlines
from mpiedge.plan.dual_phases import ascend_phases
from mpiedge.plan.exact_allocation import exact
from mpiedge.plan.matching import crunch
from mpiedge.plan.schemes import SCHEMES

SAME = 1e-9  # relative difference below which two round times are one
CRUNCH_LIMITS = {(50, 24): None, (1000, 200): 0.05, (10000, 1000): 2.0}
JBBA_LIMITS = {(8, 8): None, (50, 24): 0.05, (200, 100): None}


def affine(chance, devices, blocks):
    """Devices that differ in speed; the deepest block takes about twice the shallowest."""
    return (1 + np.arange(blocks) / blocks) / chance.uniform(0.5, 3, (devices, 1))


def crossing(chance, devices, blocks):
    """Rows that rise and cross."""
    return np.sort(chance.uniform(0.2, 2, (devices, blocks)), axis=1)


def ties(chance, devices, blocks):
    """Rows of a few different times, so that most edges tie."""
    return np.sort(chance.integers(1, 7, (devices, blocks)), axis=1) / 2.0


KINDS = {"affine": affine, "crossing": crossing, "ties": ties}


def drawn(chance, devices, blocks, *, objective="A", kind=None, budget=None):
    """A problem: signal to noise of 0 to 25 dB, and uploads that weigh little or much."""
    make = KINDS[kind or chance.choice(list(KINDS))]
    payload = 1 / np.log2(1 + 10 ** (chance.uniform(0, 25, devices) / 10))
    share = budget or chance.choice([0.3, 1.0, 3.0])
    return problem_of(make(chance, devices, blocks), payload, share * blocks, objective=objective)


def timed(work, times):
    """The median of wall-clock and of processor seconds of some work."""
    wall, processor = [], []
    for _ in range(times):
        starts = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - starts[0])
        processor.append(time.process_time() - starts[1])
    return {"seconds": round(median(wall), 5), "processor": round(median(processor), 5)}


def shown(what, found, limit=None):
    """Print a result, and whether it is within its limit."""
    if limit:
        found = {**found, "limit": limit, "within": found["seconds"] < limit}
    print(json.dumps({**what, **found}), flush=True)
    return {**what, **found}


def crunch_times(times):
    """CRUNCH on tables of all kinds."""
    for (devices, blocks), limit in CRUNCH_LIMITS.items():
        for kind, make in KINDS.items():
            table = make(np.random.default_rng(0), devices, blocks)
            what = {"planner": "crunch", "devices": devices, "blocks": blocks, "kind": kind}
            yield shown(what, timed(lambda: crunch(table), times), limit)  # noqa: B023


def jbba_times(times):
    """Both methods and objectives, over the kinds of tables in turn."""
    solvers = {("A", "exact"): exact, ("A", "dual"): ascend_deadlines}
    solvers |= {("B", "exact"): exact, ("B", "dual"): ascend_phases}
    for (devices, blocks), limit in JBBA_LIMITS.items():
        for (objective, method), solve in solvers.items():
            chance = np.random.default_rng(1)
            kinds = list(KINDS) * times
            problems = [drawn(chance, devices, blocks, objective=objective, kind=k) for k in kinds]
            row = iter(problems)
            what = {"planner": "jbba", "devices": devices, "blocks": blocks}
            what |= {"objective": objective, "method": method}
            found = timed(lambda: solve(next(row)), len(problems))  # noqa: B023
            yield shown(what, found, limit)


def compared(problems, solve):
    """Round times of some method over the exact ones, and its bounds."""
    best = np.array([exact(one).round_time for one in problems])
    ascents = [solve(one) for one in problems]
    over = np.array([one.allocation.round_time for one in ascents]) / best - 1
    under = 1 - np.array([one.bound for one in ascents]) / best
    assert (over > -SAME).all() and (under > -SAME).all()
    return {
        "instances": len(problems),
        "at_optimum": round(float((over < SAME).mean()), 4),
        "largest_gap": round(float(over.max()), 6),
        "mean_gap": round(float(over.mean()), 6) + 0.0,
        "mean_dual_gap": round(float(under.mean()), 4) + 0.0,
        "steps": round(float(np.mean([one.steps for one in ascents])), 1),
    }


def quality(instances):
    """Dual ascent against the exact solution, with and without exchanges at its end."""
    chance = np.random.default_rng(2)
    more = {"K=L": (0, 1), "K>L": (1, 6)}
    for case, (low, high) in more.items():
        sizes = chance.integers(2, 9, instances)
        problems = [drawn(chance, n + int(chance.integers(low, high)), n) for n in sizes.tolist()]
        for polish in (False, True):
            what = {"dual": "A", "case": case, "exchanges": polish}
            yield shown(what, compared(problems, lambda p: ascend_deadlines(p, polish=polish)))  # noqa: B023
    sizes = chance.integers(2, 9, instances).tolist()
    problems = [drawn(chance, n + int(chance.integers(0, 6)), n, objective="B") for n in sizes]
    for start, solve in {
        "a/B": ascend_phases,
        "0": lambda p: ascend_phases(p, np.zeros_like(p.payload)),
    }.items():
        yield shown({"dual": "B", "prices_from": start}, compared(problems, solve))


def ratios(instances, devices=10, blocks=8):
    """JBBA's round time over each scheme's: the median, for uploads that weigh more and more."""
    for objective in "AB":
        for budget in (3.0, 1.0, 0.3):
            chance, found = np.random.default_rng(3), {name: [] for name in SCHEMES}
            for seed in range(instances):
                one = drawn(
                    chance, devices, blocks, objective=objective, kind="affine", budget=budget
                )
                best = SCHEMES["jbba"](one, seed).round_time
                for name, scheme in SCHEMES.items():
                    found[name].append(best / scheme(one, seed).round_time)
            what = {"ratios": objective, "bandwidth_a_block": budget, "instances": instances}
            yield shown(what, {name: round(median(values), 3) for name, values in found.items()})


def main():
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9, help="repetitions of what is timed")
    parser.add_argument("--instances", type=int, default=400, help="problems of each comparison")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("planner.json"))
    options = parser.parse_args()
    found = {
        "numpy": np.__version__,
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "times": [*crunch_times(options.times), *jbba_times(options.times)],
        "quality": [*quality(options.instances)],
        "ratios": [*ratios(options.instances)],
    }
    limited = [row for row in found["times"] if "limit" in row]
    late = [row for row in limited if not row["within"]]
    print(f"{len(limited) - len(late)} of {len(limited)} times are within their limits")
    options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
