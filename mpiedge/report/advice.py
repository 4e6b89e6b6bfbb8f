"""What somebody should look at in a run, each with what to change.

The limits are our design: they are meant to be seldom wrong, not to find everything.
"""

from collections.abc import Callable, Iterator
from math import isfinite
from statistics import fmean
from typing import NamedTuple

from mpiedge.report.story import Story
from mpiedge.report.words import duration, size

_FULL = 0.9  # of the memory that was free
_UNEVEN = 2.0  # times as busy as the least busy rank
_RISEN = 1.05  # times the lowest loss of an evaluation
_LATE = 1.5  # times the predicted seconds of a round


class Advice(NamedTuple):
    """What was seen, and what to do about it."""

    seen: str
    change: str


def advice(story: Story) -> tuple[Advice, ...]:
    """Everything that is to be said of a run, the gravest first."""
    return tuple(each for look in _LOOKS for each in look(story))


def _unfinished(story: Story) -> Iterator[Advice]:
    if story.finished:
        return
    done = story.steps[-1].number if story.steps else 0
    of = f" of {story.planned}" if story.planned else ""
    how = f"; its last state is “{story.state}”" if story.state else ""
    yield Advice(
        f"The run has not finished: {done}{of} updates are recorded{how}. Memory, messages and "
        f"the plan are written at the end, so they are missing here.",
        "If it no longer runs: start the same command again with --resume latest.",
    )


def _broken(story: Story) -> Iterator[Advice]:
    bad = [step.number for step in story.steps if not isfinite(step.loss)]
    if bad:
        yield Advice(
            f"The loss is not a number in {len(bad)} updates, the first of them update {bad[0]}.",
            "Lower training.learning_rate, or set model.dtype to float32.",
        )


def _stuck(story: Story) -> Iterator[Advice]:
    losses = [step.loss for step in story.steps if isfinite(step.loss)]
    part = len(losses) // 5
    if part < 2:
        return
    first, last = fmean(losses[:part]), fmean(losses[-part:])
    if last >= first:
        yield Advice(
            f"The loss did not fall: {first:.3g} on average in the first fifth of the updates, "
            f"{last:.3g} in the last.",
            "Try another training.learning_rate (three times as high, a third), or more epochs.",
        )


def _overfitted(story: Story) -> Iterator[Advice]:
    losses = [(one.metrics["loss"], one.step) for one in story.scores if "loss" in one.metrics]
    if len(losses) < 2:
        return
    (least, step), (last, _) = min(losses), losses[-1]
    if last > _RISEN * least:
        yield Advice(
            f"The loss on validation examples was lowest after update {step} ({least:.3g}) and "
            f"ended at {last:.3g}: the model may be learning its examples by heart.",
            "Lower training.epochs, or raise adapter.dropout.",
        )


def _full(story: Story) -> Iterator[Advice]:
    for rank in story.ranks:
        if rank.budget and rank.resident > _FULL * rank.budget:
            yield Advice(
                f"Rank {rank.number} used {size(rank.resident)} of the {size(rank.budget)} that "
                f"were free for it.",
                "Lower training.micro_batch_size, give it fewer layers (strategy.layers), or add "
                "a rank.",
            )


def _uneven(story: Story) -> Iterator[Advice]:
    busy = [(rank.busy, rank.number) for rank in story.ranks]
    if len(busy) < 2:
        return
    (least, idle), (most, loaded) = min(busy), max(busy)
    if most > _UNEVEN * max(least, 1.0):
        yield Advice(
            f"Rank {loaded} computed for {duration(most)} and rank {idle} for {duration(least)}: "
            f"others wait for it.",
            "Measure the devices with mpiedge profile and plan by that (strategy.cluster), or cut "
            "the layers otherwise (strategy.layers).",
        )


def _late(story: Story) -> Iterator[Advice]:
    rounds = story.facts.get("rounds") or {}
    predicted, measured = rounds.get("predicted_seconds"), rounds.get("measured_seconds")
    if predicted and measured and measured > _LATE * predicted:
        yield Advice(
            f"A round took {duration(measured)}, and {duration(predicted)} were predicted.",
            "Measure the devices with mpiedge profile and plan by that (strategy.cluster).",
        )


def _no_gain(story: Story) -> Iterator[Advice]:
    if "caching" not in story.facts or len(story.epochs) < 2:
        return
    first, later = story.epochs[0].seconds, fmean(each.seconds for each in story.epochs[1:])
    if later >= first:
        yield Advice(
            f"Epochs from the cache took {duration(later)} on average, the first "
            f"{duration(first)}: what was stored saved no time.",
            "Put the cache on a faster disk (cache.folder); where the model is very small, "
            "recording does not pay.",
        )


_LOOKS: tuple[Callable[[Story], Iterator[Advice]], ...] = (
    _unfinished,
    _broken,
    _full,
    _stuck,
    _overfitted,
    _uneven,
    _late,
    _no_gain,
)
