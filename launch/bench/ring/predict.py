"""How long a ring's epoch should take, and how the schedules compare on 4 and 8 ranks.

Measures each kind of layer on this machine with one thread, plays the schedule with these times,
and, given a result of compare.py, says which part of the measured time is the schedule's own.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import torch
from compare import PACKAGE

from mpiedge.model.activation import entrance
from mpiedge.model.adapter import inject, tuned_names
from mpiedge.model.blueprint import open_model
from mpiedge.model.load import load
from mpiedge.model.purpose import Purpose
from mpiedge.model.settings import AdapterSettings, ModelSettings
from mpiedge.plan.cost import CostModel, Device, LayerProfile, Link
from mpiedge.plan.schedule import simulate
from mpiedge.strategy.baselines import pipeline
from mpiedge.strategy.ring import ring
from mpiedge.strategy.settings import StrategySettings
from mpiedge.strategy.strategy import Work


def timed(work, times=7):
    """The median of seconds of some work."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found)


def profiles(rows, length):
    """MiniLM's layers: seconds forward, and backward with what autograd adds to forward."""
    torch.set_num_threads(1)
    blueprint = open_model(
        ModelSettings(name=f"package:{PACKAGE}/model"), Purpose.CLASSIFICATION, 2
    )
    settings = AdapterSettings(kind="bottleneck", bottleneck=64)
    inject(blueprint.model, settings, blueprint.family.name, blueprint.head_names)
    names = tuned_names(blueprint.model, settings, blueprint.head_names)
    shard = load(blueprint, range(blueprint.num_layers), tuned=names)
    shard.train()
    mask = torch.ones(rows, length, dtype=torch.int64)
    entries = {0: (torch.randint(5, 1000, (rows, length)), torch.zeros_like(mask))}
    x, found = entrance(mask), []
    for layer in range(blueprint.num_layers):
        part = range(layer, layer + 1)
        with torch.no_grad():
            forward = timed(lambda: shard(x, part, entries))  # noqa: B023
        backward = 0.0
        if layer:
            given = x._replace(hidden=x.hidden.detach().requires_grad_())

            def both():
                y = shard(given, part, entries)  # noqa: B023
                y.hidden.sum().backward()

            backward = max(0.0, timed(both) - forward)
        with torch.no_grad():
            x = shard(x, part, entries)
        size = 4 * rows * length * blueprint.config.hidden_size
        tuned = 4 * sum(p.numel() for p in shard.tuned_of(layer).values())
        weights = blueprint.weight_bytes(layer)
        found.append(LayerProfile(forward, backward, weights, tuned, 16 * size, size))
    return tuple(found)


def seconds(layers, ranks, settings, batches, strategy=ring):
    """What a run of these batches takes with messages over a link of 1 Gbit/s."""
    devices = (Device(1.0, 2**40),) * ranks
    cost = CostModel(layers, devices, Link(1.2e8, 2e-4))
    work = Work(
        cost,
        frozenset(range(1, len(layers))),
        micro_batches=4,
        batches=batches,
        epoch=batches,
        clients=(1,) * ranks,
        joint_update=True,
    )
    total = 0.0
    for phase in strategy(StrategySettings(**settings), work):
        left = phase.batches
        while left:
            count = min(left, phase.together)
            plan = phase.plan.excerpt(range(count))
            total += simulate(plan, cost, phase.policy, count).makespan
            left -= count
    return total


def main():
    """Print the predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=120)
    parser.add_argument("--measured", type=Path, help="results.json of compare.py")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--length", type=int, default=64, help="tokens, those of the measured run")
    options = parser.parse_args()
    layers = profiles(4, options.length)
    # More ranks need more blocks: the same ones twice, as BERT-base has.
    deep = (layers[0], *layers[1:-1] * 2, layers[-1])
    for ranks, row in ((options.ranks, layers), (4, deep), (8, deep)):
        blocks = len(row) - 2
        every = {"name": "ring", "depth": blocks}
        scheduled = {"name": "ring", "interval": max(1, options.batches // blocks)}
        predicted = {
            "ring": seconds(row, ranks, scheduled, options.batches),
            "naive ring": seconds(row, ranks, {**every, "run_ahead": False}, options.batches),
            "pipeline": seconds(row, ranks, {}, options.batches, pipeline),
            "one device": seconds(row, 1, every, options.batches),
        }
        over = {side: round(value / predicted["ring"], 3) for side, value in predicted.items()}
        print(json.dumps({"ranks": ranks, "blocks": blocks, "over_rings": over}))
        if options.measured and ranks == options.ranks:
            medians = json.loads(options.measured.read_text(encoding="utf-8"))
            found = next(iter(medians.values()))["medians"]
            parts = {
                s: round(t / found[s]["seconds"], 3) for s, t in predicted.items() if s in found
            }
            print(json.dumps({"predicted_over_measured": parts}))


if __name__ == "__main__":
    main()
