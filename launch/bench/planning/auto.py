"""Is the plan that ``--strategy auto`` takes near the best of all there are?

    python launch/bench/planning/auto.py [--clusters 500] [--seed 0] [--json]

Random clusters of two to four devices (speeds, memories, a link for every pair) and models of
three to five blocks, small enough to try every plan of every strategy.  Prints in which part of
them the choice is within 5 % of the best, and the worst.
"""

import json
import random
import sys
from math import inf, isinf

import click
from exhaustive import best, planned

from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.strategy.strategy import Work

_MIB, _NEAR = 2**20, 1.05
_BESIDE = ("standalone", "pipeline", "data-parallel", "pac")
_INSIDE = ("standalone", "pipeline", "data-parallel", "ring")


def cluster(seed):
    """Work for a random model on a random cluster, and the strategies that its adapters allow."""
    chance = random.Random(seed)
    beside = chance.random() < 0.5
    count, layers = chance.choice([2, 2, 3, 3, 3, 3, 3, 3, 3, 4]), chance.randint(5, 7)
    unit = chance.choice([0.002, 0.02, 0.1])
    each = tuple(_layer(chance, unit, beside) for _ in range(layers))
    whole = sum(layer.weights for layer in each)
    devices = tuple(
        Device(chance.choice([0.4, 1, 1, 2.5]) * chance.uniform(1, 1.2), _memory(chance, whole))
        for _ in range(count)
    )
    links = _links(chance, count)
    slowest = min((x for row in links for x in row), key=lambda link: link.bandwidth)
    cost = CostModel(each, devices, slowest, rows=4, links=links)
    epoch = 3 * count
    work = Work(
        cost,
        frozenset(range(1, layers)),
        micro_batches=max(4, count),
        batches=3 * epoch,
        epoch=epoch,
        clients=(3,) * count,
    )
    return work, _BESIDE if beside else _INSIDE


def _layer(chance, unit, beside):
    forward = unit * chance.choice([1, 1, 1, 2])
    weights = chance.choice([10, 30]) * _MIB
    more = {}
    if beside:
        more = {
            "gradient": _MIB // 64,
            "working": 2 * _MIB,
            "frozen_forward": 0.8 * forward,
            "frozen_weights": weights - _MIB // 2,
        }
    return LayerProfile(
        forward=forward,
        backward=(0.3 if beside else chance.choice([1.0, 2.0])) * forward,
        weights=weights,
        tuned=_MIB // 4,
        activation=chance.choice([1, 4]) * _MIB,
        boundary=chance.choice([1, 4]) * _MIB // 8,
        **more,
    )


def _memory(chance, whole):
    """From less than half of the model to several times as much."""
    return round(whole * chance.choice([0.6, 1.0, 1.6, 4.0]))


def _links(chance, count):
    rates = {}
    for i in range(count):
        for j in range(i):
            rate = chance.choice([2.5e6, 1.25e7, 1.25e8])
            rates[j, i] = Link(rate, chance.choice([1e-4, 2e-3]))
    itself = Link(inf, 0.0)
    return tuple(
        tuple(rates.get((min(i, j), max(i, j)), itself) for j in range(count)) for i in range(count)
    )


def held(seed):
    """The choice for one cluster against the best there is."""
    work, names = cluster(seed)
    chosen = min((planned(name, work) for name in names), key=lambda found: found.seconds)
    ideal = min((best(name, work) for name in names), key=lambda found: found.seconds)
    if isinf(ideal.seconds):
        ratio = 1.0 if isinf(chosen.seconds) else 0.0
    else:
        ratio = chosen.seconds / ideal.seconds
    return {
        "seed": seed,
        "devices": len(work.ranks),
        "layers": len(work.layers),
        "chosen": None if isinf(chosen.seconds) else chosen.strategy,
        "best": None if isinf(ideal.seconds) else ideal.strategy,
        "ratio": None if isinf(ratio) else ratio,
    }


def summed(rows):
    """What is said of all clusters together; a plan that was not found is infinitely far off."""
    possible = [row for row in rows if row["best"]]
    ratios = [inf if row["ratio"] is None else row["ratio"] for row in possible]
    return {
        "clusters": len(rows),
        "with_a_plan": len(possible),
        "near": sum(ratio <= _NEAR for ratio in ratios) / max(1, len(possible)),
        "not_found": sum(map(isinf, ratios)),
        "worst": max((ratio for ratio in ratios if not isinf(ratio)), default=None),
        "far": [row for row, ratio in zip(possible, ratios, strict=True) if ratio > _NEAR],
    }


@click.command()
@click.option("--clusters", default=500, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--json", "for_program", is_flag=True)
def main(clusters, seed, for_program):
    """Hold choices against the best plans there are."""
    rows = []
    for number in range(clusters):
        rows.append(held(seed + number))
        if (number + 1) % 50 == 0 and not for_program:
            print(f"{number + 1} clusters", file=sys.stderr)
    found = summed(rows)
    if for_program:
        print(json.dumps(found))
        return
    print(
        f"within 5 % of the best: {found['near']:.1%} of {found['with_a_plan']} clusters that have "
        f"a plan (of {found['clusters']}); worst {found['worst']:.3f}, not found "
        f"{found['not_found']}"
    )
    for row in found["far"]:
        print(row)


if __name__ == "__main__":
    main()
