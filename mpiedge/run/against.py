"""A plan held against what a run measured: seconds, memory and bytes, side by side.

Both are files that are there already: what ``mpiedge plan --json`` wrote, and the result of a run.
Nothing is loaded and nothing is planned again.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mpiedge.config import RunSettings
from mpiedge.errors import BadInput
from mpiedge.run.reopening import settings_of

Values = Mapping[str, Any]

_KINDS = {"sum": "collective"}  # what a plan calls otherwise than the ledger of a run


class Pair(NamedTuple):
    """One quantity, predicted and measured."""

    what: str
    where: str  # an epoch, a rank, a link
    unit: str
    predicted: float
    measured: float

    @property
    def ratio(self) -> float | None:
        """Predicted over measured; nothing where nothing was measured."""
        return self.predicted / self.measured if self.measured else None


class Held(NamedTuple):
    """The pairs, and where the memory of a process without weights is from."""

    strategy: str
    pairs: tuple[Pair, ...]
    bare: str


def hold(plan_file: Path, folder: Path) -> Held:
    """A plan's file against a run's output directory.

    Raises BadInput where one of them cannot be read, or they are not of the same run.
    """
    plan, settings, result = read_plan(plan_file), settings_of(folder), _result(folder)
    try:
        _check(plan, settings, result, f"{plan_file} is a plan")
        profiled = all(device["bare_bytes"] for device in plan["devices"])
        pairs = (
            *_seconds(plan, result),
            *_memory(plan, result),
            *_traffic(plan, result, "messages"),
            *_traffic(plan, result, "bytes"),
        )
    except (KeyError, TypeError, IndexError) as missing:
        raise BadInput(
            f"{plan_file} and {folder} cannot be compared: {missing} is missing in one of them; "
            f"make both with this version of mpiedge"
        ) from None
    return Held(plan["strategy"], pairs, "the profile" if profiled else "the run")


def read_plan(path: Path) -> Values:
    """The plan that ``mpiedge plan --json`` wrote; of several strategies the best."""
    found = _json(path, "name the file that mpiedge plan --json wrote")
    plan = found.get("best") if isinstance(found, dict) and "best" in found else found
    if not isinstance(plan, dict) or "devices" not in plan:
        raise BadInput(f"{path} is no plan; name the file that mpiedge plan --json wrote")
    return plan


def as_values(held: Held) -> dict[str, Any]:
    """All pairs as plain values."""
    pairs = [{**pair._asdict(), "ratio": pair.ratio} for pair in held.pairs]
    return {"strategy": held.strategy, "bare_memory_from": held.bare, "pairs": pairs}


def _result(folder: Path) -> Values:
    found = _json(folder / "result.json", "train it again")
    if not isinstance(found, dict):
        raise BadInput(f"{folder / 'result.json'} is not the result of a run; train it again")
    return found


def _json(path: Path, repair: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); {repair}") from None
    except ValueError:
        raise BadInput(f"{path} is not JSON; {repair}") from None


def _check(plan: Values, settings: RunSettings, result: Values, said: str) -> None:
    facts = (
        ("strategy", plan["strategy"], settings.strategy.name),
        ("model", plan["model"], result["model"]),
        ("ranks", plan["ranks"], len(result["ranks"])),
        ("updates", plan["updates"], result["steps"]),
    )
    for name, planned, was in facts:
        if planned != was:
            raise BadInput(
                f"{said} with {name} {planned}, and the run had {name} {was}; plan with the run "
                f"file and the ranks of the run"
            )


def _seconds(plan: Values, result: Values) -> Iterator[Pair]:
    """Each kind of epoch: the first, and the last where there are more."""
    planned, was = plan["epochs"], result["epochs"]
    if not planned or len(planned) != len(was):
        return
    updates = min(plan["updates_of_epoch"], plan["updates"])
    first = (planned[0]["seconds"], was[0]["seconds"])
    yield Pair("update", "first epoch", "s", first[0] / updates, first[1] / updates)
    yield Pair("epoch", "first", "s", *first)
    if len(planned) > 1:
        yield Pair("epoch", "last", "s", planned[-1]["seconds"], was[-1]["seconds"])
    every = (sum(each["seconds"] for each in epochs) for epochs in (planned, was))
    yield Pair("all epochs", "", "s", *every)


def _memory(plan: Values, result: Values) -> Iterator[Pair]:
    """The most a process had: what it has before any weights, and what the run needs."""
    for device, was in zip(plan["devices"], result["ranks"], strict=True):
        needed, where = device["memory_bytes"]["total"], f"rank {device['rank']}"
        if "peak_device_bytes" in was:
            yield Pair("memory", where, "bytes", needed, was["peak_device_bytes"])
            continue
        bare = device["bare_bytes"] or was["bare_resident_bytes"]
        yield Pair("memory", where, "bytes", bare + needed, was["peak_resident_bytes"])


def _traffic(plan: Values, result: Values, unit: str) -> Iterator[Pair]:
    """What was sent to train, on every link that the plan knows of."""
    planned: dict[tuple[int, int, str], int] = {}
    for link in (link for epoch in plan["epochs"] for link in epoch["links"]):
        way = (link["source"], link["dest"], link["what"])
        planned[way] = planned.get(way, 0) + link[unit]
    was = {
        (rank["rank"], link["dest"], link["what"]): link[unit]
        for rank in result["ranks"]
        for link in rank["links"]
    }
    for (source, dest, what), amount in sorted(planned.items()):
        found = was.get((source, dest, _KINDS.get(what, what)), 0)
        yield Pair(what, f"{source} to {dest}", unit, amount, found)
