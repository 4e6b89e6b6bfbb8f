"""Who holds which layers, and the path each micro-batch takes through them.

A model is a row of numbered layers: 0 is the embedding, the last one the head.  A *stage* is a
run of layers on one rank; a *route* is the row of stages one micro-batch visits; a *partition
plan* gives every micro-batch of a batch its route.  Everything else about a plan (who trains a
layer, where backward ends, who updates together) follows, and is computed here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Stage:
    """The layers ``layers`` on rank ``rank``, of which ``trainable`` are tuned."""

    rank: int
    layers: range
    trainable: frozenset[int] = frozenset()


Route = tuple[Stage, ...]


class Travel(NamedTuple):
    """Weights that go from one rank to another between two batches."""

    source: int
    dest: int
    layers: tuple[int, ...]


@dataclass(frozen=True)
class PartitionPlan:
    """Routes, and the route of each micro-batch of a cycle of batches, by index.

    Most plans treat every batch alike: a cycle of one.  Where batches differ, a trained layer may
    be run by another rank in the next batch than in this one; its weights then *travel*.
    """

    routes: tuple[Route, ...]
    assignment: tuple[int, ...]
    joint_update: bool = False
    """All trainers update together, not only those that share a layer: the global norm of the
    gradient, or a weight that several layers share, needs every rank's part."""
    cycle: int = 1
    """Batches after which the routes repeat; batch ``k`` takes the ``k``-th part of them."""
    still: int = 0
    """Layers below are at rest: what they make of an example is the same whenever it comes, so
    they run without dropout."""
    apart: frozenset[int] = frozenset()
    """Trained layers of which every rank keeps its own: they neither travel nor are summed."""

    def __post_init__(self) -> None:
        if set(self.assignment) != set(range(len(self.routes))):
            raise ValueError(
                f"every route needs a micro-batch and every micro-batch a route: there are "
                f"{len(self.routes)} routes, and micro-batches take routes {self.assignment}"
            )
        if self.cycle < 1 or len(self.assignment) % self.cycle:
            raise ValueError(
                f"{len(self.assignment)} micro-batches cannot make up a cycle of {self.cycle} "
                f"batches of equally many"
            )
        for route in self.routes:
            _check_contiguous(route)
        if any(self.batch(k).trainers.keys() != self.trainers.keys() for k in range(self.cycle)):
            raise ValueError("a layer is trained in every batch of a cycle, or in none")

    @property
    def micro_batches(self) -> range:
        """The numbers of one batch's micro-batches."""
        return range(len(self.assignment) // self.cycle)

    def batch(self, number: int) -> "PartitionPlan":
        """The plan of one batch alone; counting goes on over cycles."""
        if self.cycle == 1:
            return self
        size, place = len(self.micro_batches), number % self.cycle
        part = self.assignment[place * size : (place + 1) * size]
        if part not in self._batches:
            self._batches[part] = self._only(part, 1)
        return self._batches[part]

    def excerpt(self, batches: range) -> "PartitionPlan":
        """The plan of some batches in a row, counted from 0."""
        if self.cycle == 1:
            return self
        size = len(self.micro_batches)
        numbers = range(batches.start * size, batches.stop * size)
        routes = (self.assignment[n % len(self.assignment)] for n in numbers)
        return self._only(tuple(routes), len(batches))

    def travels(self, number: int) -> tuple[Travel, ...]:
        """The weights that the batch after ``number`` needs elsewhere than where they were trained.

        Each comes from the lowest of the ranks that trained it.
        """
        if self.cycle == 1:
            return ()
        trained, following = self.batch(number).trainers, self.batch(number + 1)
        found: dict[tuple[int, int], set[int]] = {}
        for layer, ranks in trained.items():
            for dest in following.holders(layer):
                if dest not in ranks and layer not in self.apart:
                    found.setdefault((ranks[0], dest), set()).add(layer)
        return tuple(Travel(*pair, tuple(sorted(found[pair]))) for pair in sorted(found))

    def holders(self, layer: int) -> tuple[int, ...]:
        """The ranks that run a layer."""
        return tuple(sorted({stage.rank for stage in self._stages() if layer in stage.layers}))

    def route(self, micro_batch: int) -> Route:
        """The stages that a micro-batch visits; counting goes on over batches."""
        return self.routes[self.assignment[micro_batch % len(self.assignment)]]

    @cached_property
    def trainers(self) -> dict[int, tuple[int, ...]]:
        """For each trainable layer, the ranks that tune it."""
        return self._ranks_by_layer(lambda stage: stage.trainable)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that take part."""
        return tuple(sorted({stage.rank for stage in self._stages()}))

    @cached_property
    def starts(self) -> frozenset[int]:
        """The ranks where routes start: they need the examples."""
        return frozenset(route[0].rank for route in self.routes)

    @cached_property
    def backward_passes(self) -> Counter[int]:
        """For each rank, how many backward passes it runs in one batch."""
        passes: Counter[int] = Counter()
        for m in self.micro_batches:
            lowest = self.lowest_trainable(m)
            if lowest is not None:
                passes.update(stage.rank for stage in self.route(m)[lowest:])
        return passes

    @cached_property
    def partners(self) -> dict[int, frozenset[int]]:
        """For each rank that updates, the ranks that update together with it.

        Two ranks update together when they tune the same layer, or each does with a third.
        """
        groups: list[frozenset[int]] = []
        alone = [(rank,) for rank in self.ranks_of(self.apart)]
        shared = [ranks for layer, ranks in self.trainers.items() if layer not in self.apart]
        for ranks in [self.ranks_of(self.trainers)] if self.joint_update else alone + shared:
            joined = [other for other in groups if not other.isdisjoint(ranks)]
            groups = [other for other in groups if other.isdisjoint(ranks)]
            groups.append(frozenset(ranks).union(*joined))
        return {rank: group for group in groups for rank in sorted(group)}

    def ranks_of(self, layers: Iterable[int]) -> tuple[int, ...]:
        """The ranks that tune any of these layers."""
        return tuple(sorted({rank for i in layers for rank in self.trainers.get(i, ())}))

    def layers_of(self, rank: int) -> tuple[int, ...]:
        """The layers that a rank holds."""
        return tuple(sorted({i for s in self._stages() if s.rank == rank for i in s.layers}))

    def updates(self, stage: Stage) -> bool:
        """Whether an update changes what ``stage`` computes."""
        return any(layer in self.trainers for layer in stage.layers)

    def lowest_trainable(self, micro_batch: int) -> int | None:
        """The index of the stage where this micro-batch's backward pass ends."""
        stages = enumerate(self.route(micro_batch))
        return next((index for index, stage in stages if stage.trainable), None)

    def frozen(self) -> "PartitionPlan":
        """The same routes with nothing to train, as evaluation needs them."""
        routes = tuple(tuple(replace(s, trainable=frozenset()) for s in r) for r in self.routes)
        return PartitionPlan(routes, self.assignment, cycle=self.cycle)

    def below(self, layer: int) -> "PartitionPlan":
        """The same routes as far as a layer, with nothing to train."""
        routes = tuple(tuple(_cut(route, layer)) for route in self.routes)
        return PartitionPlan(routes, self.assignment, cycle=self.cycle)

    @cached_property
    def _batches(self) -> dict[tuple[int, ...], "PartitionPlan"]:
        return {}

    def _only(self, assignment: tuple[int, ...], cycle: int) -> "PartitionPlan":
        """The same plan with other micro-batches, of the routes that these take."""
        used = sorted(set(assignment))
        routes = tuple(self.routes[i] for i in used)
        taken = tuple(used.index(i) for i in assignment)
        return replace(self, routes=routes, assignment=taken, cycle=cycle)

    def _stages(self) -> Iterator[Stage]:
        for route in self.routes:
            yield from route

    def _ranks_by_layer(
        self, layers_in: Callable[[Stage], Iterable[int]]
    ) -> dict[int, tuple[int, ...]]:
        ranks: dict[int, set[int]] = {}
        for stage in self._stages():
            for layer in layers_in(stage):
                ranks.setdefault(layer, set()).add(stage.rank)
        return {layer: tuple(sorted(ranks[layer])) for layer in sorted(ranks)}


def to_json(plan: PartitionPlan) -> dict[str, Any]:
    """A plan as plain values, as it is broadcast and stored with a run."""
    return {
        "routes": [
            [
                {
                    "rank": stage.rank,
                    "layers": [stage.layers.start, stage.layers.stop],
                    "trainable": sorted(stage.trainable),
                }
                for stage in route
            ]
            for route in plan.routes
        ],
        "assignment": list(plan.assignment),
        "joint_update": plan.joint_update,
        "cycle": plan.cycle,
        "still": plan.still,
        "apart": sorted(plan.apart),
    }


def from_json(value: dict[str, Any]) -> PartitionPlan:
    """The plan that ``to_json`` wrote."""
    routes = tuple(
        tuple(Stage(s["rank"], range(*s["layers"]), frozenset(s["trainable"])) for s in route)
        for route in value["routes"]
    )
    return PartitionPlan(
        routes,
        tuple(value["assignment"]),
        value["joint_update"],
        value["cycle"],
        value["still"],
        frozenset(value["apart"]),
    )


def _cut(route: Route, layer: int) -> Iterator[Stage]:
    for stage in route:
        if stage.layers.start < layer:
            yield Stage(stage.rank, range(stage.layers.start, min(stage.layers.stop, layer)))


def _check_contiguous(route: Route) -> None:
    # A route begins at the embedding, or behind layers whose output is kept.
    end = route[0].layers.start
    for stage in route:
        if stage.layers.start != end or not stage.layers:
            raise ValueError(
                f"stages must follow one another: {stage} starts at layer {stage.layers.start}, "
                f"but the stage before it ends at layer {end}"
            )
        end = stage.layers.stop
