"""Scoring a split over the same routes as the training, with nothing trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mpiedge.comm.transport import Kind, Tag, Transport
from mpiedge.pipeline.engine import Engine
from mpiedge.pipeline.feed import Feed
from mpiedge.pipeline.portion import Backbones, MicroBatch, Portion
from mpiedge.plan.forward_pass import forward_pass
from mpiedge.plan.partition import PartitionPlan
from mpiedge.run.examples import Examples
from mpiedge.run.opening import Opened
from mpiedge.task.sampler import Batch
from mpiedge.task.task import Encoded


@dataclass(frozen=True)
class Evaluation:
    """Examples in a row of micro-batches, laid over a plan's routes as often as it takes."""

    plan: PartitionPlan
    sizes: tuple[int, ...]  # examples of each micro-batch
    portions: tuple[Batch, ...] = ()  # their numbers; only on ranks where they are known
    feed: Feed | None = None

    @property
    def batches(self) -> int:
        """How often the plan's batch is run."""
        return -(-len(self.sizes) // len(self.plan.micro_batches))

    def source(self, number: int) -> MicroBatch:
        """Micro-batch ``number``, an empty one past the end."""
        assert self.feed is not None
        return self.feed.micro_batch((self.examples(number),), 0)

    def examples(self, number: int) -> Batch:
        """The examples of micro-batch ``number``; none past the end."""
        return self.portions[number] if number < len(self.portions) else ()

    def numbers(self, rank: int) -> tuple[int, ...]:
        """The micro-batches that a rank takes part in."""
        every = range(self.batches * len(self.plan.micro_batches))
        routes = ((number, self.plan.route(number)) for number in every)
        return tuple(n for n, route in routes if any(stage.rank == rank for stage in route))


def observe(
    transport: Transport,
    engine: Engine,
    evaluation: Evaluation,
    backbones: Backbones | None = None,
) -> Tensor | None:
    """Run the examples through the model; on rank 0, what was observed of each: [n, k].

    Rows are in the order of the micro-batches.
    """
    plan = evaluation.plan
    actions = forward_pass(plan, transport.rank, evaluation.batches)
    portion = Portion(plan, actions, 0, evaluation.source, backbones)
    engine.run(portion, _ToRankZero(transport))
    if transport.rank != 0:
        return None
    rows = []
    for number in range(evaluation.batches * len(plan.micro_batches)):
        (observed,) = transport.recv(plan.route(number)[-1].rank, Tag(Kind.RECORDS, number))
        size = evaluation.sizes[number] if number < len(evaluation.sizes) else 0
        rows.append(observed[:size])
    return torch.cat(rows)


def validation_of(opened: Opened, plan: PartitionPlan, examples: Examples) -> Evaluation:
    """The validation examples laid over ``plan``, neighbours of about the same length."""
    size = opened.settings.training.micro_batch_size
    return Evaluation(
        plan=plan.frozen(),
        sizes=sizes(examples.counts.validation, size),
        portions=portions([each.length for each in examples.validation], size),
        feed=Feed(opened.task, examples.validation, opened.blueprint.bridge),
    )


def laid(
    opened: Opened, plan: PartitionPlan, examples: Sequence[Encoded], portions: tuple[Batch, ...]
) -> Evaluation:
    """Given micro-batches of a split laid over ``plan``."""
    feed = Feed(opened.task, examples, opened.blueprint.bridge)
    return Evaluation(plan.frozen(), tuple(map(len, portions)), portions, feed)


def portions(lengths: Sequence[int], size: int) -> tuple[Batch, ...]:
    """Every example once, neighbours of about the same length, ``size`` to a micro-batch."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return tuple(tuple(order[i : i + size]) for i in range(0, len(order), size))


def sizes(count: int, size: int) -> tuple[int, ...]:
    """How many examples each of ``portions`` holds."""
    return tuple(min(size, count - start) for start in range(0, count, size))


class _ToRankZero:
    """Sends what was observed of each micro-batch to rank 0."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def result(self, number: int, value: Tensor) -> None:
        self._transport.send([value.cpu()], 0, Tag(Kind.RECORDS, number))

    def acted(self) -> None:
        return
