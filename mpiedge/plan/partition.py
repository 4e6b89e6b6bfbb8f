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
from typing import Any


@dataclass(frozen=True)
class Stage:
    """The layers ``layers`` on rank ``rank``, of which ``trainable`` are tuned."""

    rank: int
    layers: range
    trainable: frozenset[int] = frozenset()


Route = tuple[Stage, ...]


@dataclass(frozen=True)
class PartitionPlan:
    """Routes, and the route of each micro-batch of one batch, by index."""

    routes: tuple[Route, ...]
    assignment: tuple[int, ...]
    joint_update: bool = False
    """All trainers update together, not only those that share a layer: the global norm of the
    gradient, or a weight that several layers share, needs every rank's part."""

    def __post_init__(self) -> None:
        if set(self.assignment) != set(range(len(self.routes))):
            raise ValueError(
                f"every route needs a micro-batch and every micro-batch a route: there are "
                f"{len(self.routes)} routes, and micro-batches take routes {self.assignment}"
            )
        for route in self.routes:
            _check_contiguous(route)

    @property
    def micro_batches(self) -> range:
        """The numbers of one batch's micro-batches."""
        return range(len(self.assignment))

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
        for ranks in (
            [self.ranks_of(self.trainers)] if self.joint_update else self.trainers.values()
        ):
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
        return PartitionPlan(routes, self.assignment)

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
    }


def from_json(value: dict[str, Any]) -> PartitionPlan:
    """The plan that ``to_json`` wrote."""
    routes = tuple(
        tuple(Stage(s["rank"], range(*s["layers"]), frozenset(s["trainable"])) for s in route)
        for route in value["routes"]
    )
    return PartitionPlan(routes, tuple(value["assignment"]), value["joint_update"])


def _check_contiguous(route: Route) -> None:
    end = 0
    for stage in route:
        if stage.layers.start != end or not stage.layers:
            raise ValueError(
                f"stages must follow one another: {stage} starts at layer {stage.layers.start}, "
                f"but the stage before it ends at layer {end}"
            )
        end = stage.layers.stop
