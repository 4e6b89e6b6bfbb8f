"""A training run: phase by phase, batch by batch, evaluated and saved."""

import time
from dataclasses import replace
from pathlib import Path

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mpiedge.comm.ledger import both, without
from mpiedge.comm.values import agree, collectively, gather
from mpiedge.config import RunSettings, to_toml
from mpiedge.model.export import origin_of, save_adapter
from mpiedge.model.tokenizer import open_tokenizer
from mpiedge.pipeline.portion import Portion
from mpiedge.plan.schedule import simulate
from mpiedge.run import planning
from mpiedge.run.answering import answer_match
from mpiedge.run.backbones import backbones, evaluation_visits
from mpiedge.run.checkpoints import Checkpoints, check_extent, facts_of
from mpiedge.run.collecting import collect
from mpiedge.run.completing import Told, complete
from mpiedge.run.devices import Devices
from mpiedge.run.energy import Meter
from mpiedge.run.evaluation import Evaluation, laid, observe, validation_of
from mpiedge.run.first_values import first_values
from mpiedge.run.given import Given
from mpiedge.run.holding import holding, larger
from mpiedge.run.journal import Journal
from mpiedge.run.losses import Losses
from mpiedge.run.opening import Opened
from mpiedge.run.phases import Entered, begin, follow, refresh, resume
from mpiedge.run.power import sensors
from mpiedge.run.preparing import Prepared, prepare
from mpiedge.run.resuming import Position, Resumed
from mpiedge.run.sources import sources
from mpiedge.run.usage import links, peak_resident, usage
from mpiedge.strategy.strategy import Phase, Source, layers_of
from mpiedge.version import VERSION


def train(opened: Opened, checkpoints: Checkpoints, resumed: Resumed | None = None) -> None:
    """Train as the settings say; the result goes to the journal's output directory."""
    journal, bare = checkpoints.journal, peak_resident()
    run = prepare(opened, journal)
    if resumed is not None:
        collectively(opened.transport, lambda: check_extent(run, resumed))
        run = replace(run, resumed=resumed)
    with run.kept(), Meter(sensors() if opened.host.place == 0 else ()) as meter:
        held: dict[str, int] = {}
        devices = Devices(opened.transport.telemetry, [host.name for host in opened.hosts])
        if journal.output is not None:
            journal.watch(devices)
        here, position = None, resumed.position if resumed else Position()
        done, level, losses = position.done, position.level, list(position.losses)
        for number, (phase, end) in enumerate(zip(run.phases, _ends(run), strict=True), start=1):
            journal.status.phase(number, len(run.phases))
            devices.hold({r: layers_of(phase, r) for r in range(opened.transport.size)})
            if phase.level >= level and done < end:
                here = _enter(run, phase, done, here or resumed, checkpoints)
                done, level = _work(run, here, range(done, end), losses, checkpoints)
                if level > phase.level:
                    losses.clear()
            if here is not None:
                held = larger(held, holding(here))
        assert here is not None
        journal.scores.update(answer_match(run, here))
        _finish(run, here, journal, {"program": bare, **held}, meter)


def _ends(run: Prepared) -> list[int]:
    """The update with which each phase ends at the latest."""
    ends, end = [], 0
    for phase in run.phases:
        end = min(phase.until or end + phase.batches, run.clock.steps)
        ends.append(end)
    return ends


def _enter(
    run: Prepared,
    phase: Phase,
    done: int,
    before: Entered | Resumed | None,
    checkpoints: Checkpoints,
) -> Entered:
    start, steps, journal = time.monotonic(), run.clock.steps, checkpoints.journal
    entered = before if isinstance(before, Entered) else None
    anew = done == 0 and not isinstance(before, Resumed)
    replays = phase.source is Source.REPLAY and run.caches is not None

    def begin_output() -> None:
        if anew:
            collectively(run.opened.transport, lambda: _begin_output(run.opened, checkpoints))

    if replays:
        told = Told(begin_output, journal.recorded)
        journal.completed(*complete(run, entered, phase, told))
    if isinstance(before, Resumed):
        here = resume(run.opened, phase, steps, before)
        collectively(run.opened.transport, lambda: _go_on(run, before, journal))
    elif entered is None:
        here = begin(run.opened, phase, steps, first_values(run.opened, phase.plan))
    else:
        here = follow(run.opened, phase, steps, done, entered)
    if anew:
        if not replays:
            begin_output()
        journal.begin()
    elif not isinstance(before, Resumed):
        journal.paused(time.monotonic() - start)
    checkpoints.begin()
    return here


def _work(
    run: Prepared, here: Entered, updates: range, losses: list[float], checkpoints: Checkpoints
) -> tuple[int, int]:
    """The updates of a phase, and the evaluations and checkpoints between them.

    Gives the batch at which it ended, and the level that comes then.  ``losses`` are those of this
    level so far; rank 0 adds to them, and decides by them.
    """
    journal = checkpoints.journal
    clock, phase = run.clock, here.phase
    evaluation = _evaluation(run, here)
    with sources(run, here, updates) as given:
        together = min(phase.together, checkpoints.every or phase.together)
        for portion in clock.portions(updates.start, updates.stop, together, phase.average_every):
            start = time.monotonic()
            if portion.start > updates.start:
                here.turns.cross(phase.plan, portion.start)
            before = here.busy
            losses += _update(run, here, portion, given, journal)
            checkpoints.pace.computed(here.busy - before, len(portion))
            journal.trained(clock, portion.stop, time.monotonic() - start)
            if clock.evaluates(portion.stop):
                start, sent = time.monotonic(), run.opened.transport.ledger.sent()
                journal.status.state("evaluating")
                refresh(run.opened, here, phase.evaluated, portion.stop)
                given.settle()
                scores = evaluate(run, here, evaluation)
                journal.evaluated(clock, portion.stop, scores, time.monotonic() - start)
                apart = without(run.opened.transport.ledger.sent(), sent)
                journal.apart = both(journal.apart, apart)
            if phase.watch and agree(run.opened.transport, phase.watch.plateau(losses)):
                return portion.stop, phase.level + 1
            heard = tuple(losses[-2 * phase.watch.patience :]) if phase.watch else ()
            if portion.stop < clock.steps:  # else all is done, and only has to be saved
                facts = {**facts_of(run), "given": given.noted()}
                position = Position(portion.stop, phase.level, heard)
                checkpoints.offer(here, position, facts, given.apart)
        if told := given.facts():
            journal.facts["rounds"] = told
    return updates.stop, phase.level


def evaluate(run: Prepared, here: Entered, evaluation: Evaluation) -> dict[str, float]:
    """The metrics of the validation examples, on rank 0; elsewhere nothing."""
    transport, split = run.opened.transport, run.examples.validation
    cache = run.caches.validation if run.caches else None
    visits = evaluation_visits(evaluation, transport.rank)
    with backbones(run.opened, here.phase.source, cache, visits, split) as made:
        observed = observe(transport, here.engine, evaluation, made)
    return {} if observed is None else run.opened.task.score(observed)


def _evaluation(run: Prepared, here: Entered) -> Evaluation:
    plan, examples = here.phase.evaluated, run.examples
    if run.caches is None:
        return validation_of(run.opened, plan, examples)
    return laid(run.opened, plan, examples.validation, run.caches.validation.order)


def _update(
    run: Prepared, here: Entered, updates: range, given: Given, journal: Journal
) -> list[float]:
    """Run the updates of one portion; their losses, on rank 0."""
    transport, plan = run.opened.transport, here.phase.plan.excerpt(updates)
    given.begin(updates)
    timeline = simulate(plan, policy=here.phase.policy, batches=len(updates))
    found: list[float] = []

    def heard(batch: int, loss: float) -> None:
        found.append(loss)
        journal.step(run.clock, batch, loss, here.update.learning_rate(batch))

    if given.rounds is not None:
        given.rounds(updates, heard)
        return found
    losses = Losses(transport, plan, updates.start, heard)
    first = updates.start * len(plan.micro_batches)
    actions = timeline.schedule.get(transport.rank, ())
    portion = Portion(plan, actions, first, given.source, given.backbones, given.answers)
    here.engine.run(portion, losses)
    losses.drain(updates.stop)
    return found


def _begin_output(opened: Opened, checkpoints: Checkpoints) -> None:
    checkpoints.clear()
    journal = checkpoints.journal
    if journal.output is not None:
        if journal.output.replaces:
            journal.say(f"replacing the result in {journal.output.folder}")
        journal.output.run_file(to_toml(_resolved(opened)))
        journal.status.begin(opened.transport.size)
        for report in journal.reports:
            report.begin(0)


def _go_on(run: Prepared, resumed: Resumed, journal: Journal) -> None:
    """Let the record stand as it was when the checkpoint was written."""
    done, clock = resumed.position.done, run.clock
    journal.go_on(resumed.facts["journal"], clock.examples_before(done - done % clock.epoch))
    if journal.output is not None:
        journal.output.go_on(to_toml(_resolved(run.opened)), done)
        journal.status.begin(run.opened.transport.size, done)
        for report in journal.reports:
            report.begin(done)
    journal.say(f"going on after update {done} of {clock.steps}")


def _resolved(opened: Opened) -> RunSettings:
    """The settings with the columns that were found: later use of the result goes by them."""
    columns = opened.task.columns
    task = replace(opened.settings.task, text=list(columns.text), label=columns.label)
    return replace(opened.settings, task=task)


def _finish(
    run: Prepared, here: Entered, journal: Journal, held: dict[str, int], meter: Meter
) -> None:
    opened, transport = run.opened, run.opened.transport
    weights = collect(transport, here.shard, here.phase, run.clock.steps - 1, opened.tuned)
    if weights is not None and journal.output is not None:
        with journal.output.saving():
            _save(opened, weights, journal.output.adapter)
    used = usage(transport, opened.device, here.busy)
    used["bare_resident_bytes"], used["memory_bytes"] = held["program"], held
    if meter.what:
        used["energy_joules"], used["energy_sensor"] = round(meter.joules(), 1), meter.what
    used["links"] = links(without(transport.ledger.sent(), journal.apart))
    used["host"] = opened.host.name
    used["memory_budget_bytes"] = opened.host.free_memory // opened.host.ranks
    used["layers"] = list(layers_of(here.phase, transport.rank))
    if run.stored:
        used["cache_bytes"] = run.stored
    ranks = gather(transport, used)
    journal.finish(
        {
            "mpiedge": VERSION,
            "model": opened.settings.model.name,
            "tuned_weights": sum(weight.numel() for weight in (weights or {}).values()),
            "steps": run.clock.steps,
            "labels": list(opened.labels),
            "ranks": ranks,
            "plan": planning.stored(run.phases),
        }
    )


def _save(opened: Opened, weights: dict[str, Tensor], folder: Path) -> None:
    """Write what was tuned, so that PEFT or transformers can load it."""
    blueprint, settings = opened.blueprint, opened.settings
    origin = origin_of(blueprint.model, blueprint.source.place, opened.purpose, opened.heads)
    save_adapter(folder, settings.adapter, weights, origin)
    tokenizer = open_tokenizer(settings.model.name)
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        # Of an adapter too, as PEFT's own are saved: whoever is given the folder has it.
        tokenizer.save_pretrained(folder)
