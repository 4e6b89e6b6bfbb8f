"""A training run: plan, load, run the phases batch by batch, evaluate, save."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from mpiedge import __version__
from mpiedge.comm.values import collectively, gather
from mpiedge.config import RunSettings, to_toml
from mpiedge.model.export import origin_of, save_adapter
from mpiedge.model.load import load
from mpiedge.model.shard import Shard
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.pipeline.engine import Engine, MicroBatch, Portion
from mpiedge.pipeline.feed import Feed, shuffled
from mpiedge.pipeline.optimize import Update
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.plan.partition import PartitionPlan
from mpiedge.plan.schedule import simulate
from mpiedge.run import planning
from mpiedge.run.clock import Clock
from mpiedge.run.collecting import collect
from mpiedge.run.evaluation import Evaluation, observe, validation_of
from mpiedge.run.examples import Examples, count, read
from mpiedge.run.journal import Journal
from mpiedge.run.losses import Losses
from mpiedge.run.opening import Opened
from mpiedge.run.usage import usage
from mpiedge.strategy.strategy import Phase


@dataclass(frozen=True)
class Prepared:
    """Everything one rank needs for the updates."""

    opened: Opened
    phases: tuple[Phase, ...]
    examples: Examples
    clock: Clock
    shard: Shard
    update: Update
    engine: Engine


def train(opened: Opened, journal: Journal) -> None:
    """Train as the settings say; the result goes to the journal's output directory."""
    run = prepare(opened, journal)
    evaluation = validation_of(opened, run.phases[-1].plan, run.examples)
    source = _training_source(run)
    journal.begin()
    for phase, updates in _portions(run):
        start = time.monotonic()
        _update(run, phase, updates, source, journal)
        journal.trained(run.clock, updates.stop, time.monotonic() - start)
        if run.clock.evaluates(updates.stop):
            start = time.monotonic()
            scores = evaluate(run, evaluation)
            journal.evaluated(run.clock, updates.stop, scores, time.monotonic() - start)
    _finish(run, journal)


def prepare(opened: Opened, journal: Journal) -> Prepared:
    """Plan, read the examples and the weights; after this nothing a user gave can be wrong."""
    transport, training = opened.transport, opened.settings.training
    counts = count(opened)
    clock = _clock(training, counts.train)
    phases = planning.plan_run(opened, clock.steps, planning.micro_batches(training, counts.train))
    plan = phases[0].plan
    # Only ranks where routes start need the data, and rank 0 has read it.
    notes = opened.task.notes if transport.rank == 0 else ()
    for line in (*notes, *planning.described(opened, plan)):
        journal.say(line)
    examples = read(opened, plan, counts)
    shard = collectively(transport, lambda: _shard(opened, plan))
    update = Update(transport, shard, training, clock.steps)
    engine = Engine(transport, shard, opened.task, update, training.seed)
    collectively(transport, lambda: _begin_output(opened, journal))
    return Prepared(opened, phases, examples, clock, shard, update, engine)


def _begin_output(opened: Opened, journal: Journal) -> None:
    if journal.output is not None:
        if journal.output.replaces:
            journal.say(f"replacing the result in {journal.output.folder}")
        journal.output.run_file(to_toml(_resolved(opened)))


def _resolved(opened: Opened) -> RunSettings:
    """The settings with the columns that were found: later use of the result goes by them."""
    columns = opened.task.columns
    task = replace(opened.settings.task, text=list(columns.text), label=columns.label)
    return replace(opened.settings, task=task)


def _clock(training: TrainingSettings, examples: int) -> Clock:
    return Clock(
        examples,
        training.batch_size,
        training.epochs,
        training.max_steps,
        training.evaluate_every,
    )


def _shard(opened: Opened, plan: PartitionPlan) -> Shard:
    return load(
        opened.blueprint,
        plan.layers_of(opened.transport.rank),
        opened.device,
        tuned=opened.tuned,
        seed=opened.settings.training.seed,
    )


def evaluate(run: Prepared, evaluation: Evaluation) -> dict[str, float]:
    """The metrics of the validation examples, on rank 0; elsewhere nothing."""
    observed = observe(run.opened.transport, run.engine, evaluation)
    return {} if observed is None else run.opened.task.score(observed)


def _portions(run: Prepared) -> Iterator[tuple[Phase, range]]:
    start = 0
    for phase in run.phases:
        for updates in run.clock.portions(start, start + phase.batches):
            yield phase, updates
        start += phase.batches


def _update(
    run: Prepared,
    phase: Phase,
    updates: range,
    source: Callable[[int], MicroBatch],
    journal: Journal,
) -> None:
    """Run the updates of one portion."""
    transport, plan = run.opened.transport, phase.plan
    timeline = simulate(plan, policy=phase.policy, batches=len(updates))

    def heard(batch: int, loss: float) -> None:
        journal.step(run.clock, batch, loss, run.update.learning_rate(batch))

    losses = Losses(transport, plan, updates.start, heard)
    first = updates.start * len(plan.micro_batches)
    actions = timeline.schedule.get(transport.rank, ())
    run.engine.run(Portion(plan, actions, first, source), losses)
    losses.drain(updates.stop)


def _training_source(run: Prepared) -> Callable[[int], MicroBatch]:
    opened, training = run.opened, run.opened.settings.training
    size = planning.micro_batches(training, run.examples.counts.train)
    lengths = [example.length for example in run.examples.train]
    order = shuffled(lengths, training.batch_size, size, training.seed)
    feed = Feed(opened.task, run.examples.train, opened.blueprint.bridge)

    def source(number: int) -> MicroBatch:
        batch, index = divmod(number, size)
        return feed.micro_batch(order.batch(batch), index)

    return source


def _finish(run: Prepared, journal: Journal) -> None:
    opened, plan = run.opened, run.phases[-1].plan
    transport = opened.transport
    weights = collect(transport, run.shard, plan)
    if weights is not None and journal.output is not None:
        _save(opened, weights, journal.output.adapter)
    used = usage(transport, opened.device, run.engine.busy)
    used["host"] = opened.host.name
    used["layers"] = list(plan.layers_of(transport.rank))
    ranks = gather(transport, used)
    journal.finish(
        {
            "mpiedge": __version__,
            "model": opened.settings.model.name,
            "tuned_weights": sum(weight.numel() for weight in (weights or {}).values()),
            "steps": run.clock.steps,
            "labels": list(opened.labels),
            "ranks": ranks,
            "plan": planning.stored(opened, run.phases),
        }
    )


def _save(opened: Opened, weights: dict[str, Tensor], folder: Path) -> None:
    """Write what was tuned, so that PEFT or transformers can load it."""
    blueprint, settings = opened.blueprint, opened.settings
    origin = origin_of(blueprint.model, blueprint.source.place, opened.purpose, opened.heads)
    save_adapter(folder, settings.adapter, weights, origin)
    if settings.adapter.kind == "full":
        # A whole checkpoint is used without its base, so it brings its tokenizer.
        open_tokenizer(settings.model.name).save_pretrained(folder)
