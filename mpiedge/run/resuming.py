"""Where an interrupted run stands: its newest whole checkpoint, wherever its parts are.

The number of ranks and the layout may be other ones than they were; what the run file says of the
result may not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mpiedge.comm.transport import Transport
from mpiedge.comm.values import agree, collectively, decided, gather
from mpiedge.config import RunSettings, flat
from mpiedge.errors import BadInput
from mpiedge.pipeline.hand_over import Named
from mpiedge.run.opening import Opened
from mpiedge.store.checkpoint import Contents, Part, content_of, parts_in, unpacked

FOLDER = "checkpoints"
"""In the output directory, on every rank's own disk."""

_FREE_SECTIONS = ("comm", "cache", "checkpoint")
_FREE = frozenset(
    f"strategy.{name}"
    for name in (
        "layers",
        "groups",
        "mixed",
        "shares",
        "speeds",
        "order",
        "run_ahead",
        "in_flight",
        "prefix_cache",
        "servers",
        "aggregation",
        "credits",
        "replay",
    )
) | {
    "training.threads",
    "training.report_to",
    "model.name",
    "task.data",
    "task.client_files",
    "task.target_tokenizer",
}
"""Settings that decide where and how fast something is computed, or where a file lies."""

_NOTED = frozenset(
    ("run", "journal", "settings", "extent", "done", "level", "losses")
)  # what every part says; one that does not is of another version

_OF = "/"  # in no weight's name

_Key = tuple[int, int, str]  # a checkpoint's update, how many parts it has, and its run
_LOOKED_AT = 4  # updates, the newest ones, whose parts are read


class Position(NamedTuple):
    """How far a run has come."""

    done: int = 0  # updates
    level: int = 0  # of the phases; those of a lower level are over
    losses: tuple[float, ...] = ()  # of this level so far, by which a plateau is noticed


@dataclass(frozen=True)
class Resumed:
    """A checkpoint: its position, what rank 0 noted, and the weights that were read here."""

    position: Position
    facts: Mapping[str, Any]
    held: Named = field(default_factory=dict)
    owners: Mapping[str, int] = field(default_factory=dict)  # the rank that has read each weight

    @property
    def shared(self) -> dict[str, int]:
        """The owners of the weights that are no client's own."""
        return {name: rank for name, rank in self.owners.items() if _OF not in name}

    def of_client(self, client: int) -> dict[str, int]:
        """The owners of a client's own weights, by the names that ``own`` gives them."""
        begins = own(client, "")
        return {name: rank for name, rank in self.owners.items() if name.startswith(begins)}


def own(client: int, name: str) -> str:
    """What a client's own copy of a weight is called in a checkpoint."""
    return f"{client}{_OF}{name}"


def decisive(settings: RunSettings) -> dict[str, Any]:
    """The settings that the result depends on, by their full names."""
    return {
        name: value
        for name, value in flat(settings).items()
        if name not in _FREE and name.partition(".")[0] not in _FREE_SECTIONS
    }


def uncached(settings: RunSettings) -> RunSettings:
    """The settings of a run that goes on: what only its first epoch keeps, for itself, is gone."""
    return replace(settings, strategy=replace(settings.strategy, prefix_cache=False, replay=False))


def find(opened: Opened, folder: Path) -> Resumed:
    """The newest checkpoint of the run in ``folder``, which every part of is somewhere.

    Called by all; raises BadInput where there is none, or where the run file is another one.
    """
    transport, place = opened.transport, folder / FOLDER
    here, rows = _everywhere(transport, place)
    update, count, sources = decided(transport, lambda: _chosen(rows, place))
    mine = {
        part.number: contents
        for part, contents in here.items()
        if (part.update, part.parts) == (update, count) and sources[part.number] == transport.rank
    }
    held = {name: row for contents in mine.values() for name, row in _named(contents).items()}
    told = gather(transport, sorted(held))
    owners = agree(
        transport, {name: rank for rank, names in enumerate(told or []) for name in names}
    )
    first = next((contents.facts for number, contents in mine.items() if number == 0), None)
    facts = agree(transport, first, root=sources[0])
    collectively(transport, lambda: _check(opened.settings, facts["settings"], folder))
    position = Position(facts["done"], facts["level"], tuple(facts["losses"]))
    return Resumed(position, facts, held, owners)


def there_is(transport: Transport, folder: Path) -> bool:
    """Whether a run can go on in ``folder``: all parts of a checkpoint are.  Called by all."""
    _, rows = _everywhere(transport, folder / FOLDER)
    return bool(agree(transport, bool(_whole(_readers(rows)))))


def _everywhere(transport: Transport, place: Path) -> tuple[dict[Part, Contents], list[Any]]:
    """The whole parts on this rank, and on rank 0 a row of what each rank has."""
    here = _readable(place)
    rows = gather(transport, [[*part[:3], _run_of(contents)] for part, contents in here.items()])
    return here, rows or []


def _readable(folder: Path) -> dict[Part, Contents]:
    """The whole parts in a folder, of the newest updates."""
    parts = parts_in(folder)
    newest = sorted({part.update for part in parts}, reverse=True)[:_LOOKED_AT]
    found = {}
    for part in parts:
        content = content_of(folder, part) if part.update in newest else None
        contents = unpacked(content) if content is not None else None
        if contents is not None and contents.facts.keys() >= _NOTED:
            found[part] = contents
    return found


def _chosen(rows: list[Any], place: Path) -> tuple[int, int, list[int]]:
    """The newest update of which all parts are there: how many they are, and who reads which."""
    readers = _readers(rows)
    whole = _whole(readers)
    if not whole:
        some = f"; of update {max(readers)[0]} only some parts" if readers else ""
        raise BadInput(
            f"there is no whole checkpoint in {place} on any rank{some}; name the output directory "
            f"of a run that was interrupted, or train anew without --resume"
        )
    key = max(whole)
    return key[0], key[1], [readers[key][number] for number in range(key[1])]


def _readers(rows: list[Any]) -> dict[_Key, dict[int, int]]:
    """Of each checkpoint the ranks that can read its parts, the lowest of each."""
    readers: dict[_Key, dict[int, int]] = {}
    for rank, row in enumerate(rows):
        for update, number, count, run in row:
            readers.setdefault((update, count, run), {}).setdefault(number, rank)
    return readers


def _whole(readers: Mapping[_Key, Mapping[int, int]]) -> list[_Key]:
    return [key for key, parts in readers.items() if len(parts) == key[1]]


def _run_of(contents: Contents) -> str:
    return str(contents.facts.get("run", ""))


def _named(contents: Contents) -> Named:
    """Each weight with what the optimizer keeps of it, in their order."""
    rows: dict[str, dict[int, Tensor]] = {}
    for key, tensor in contents.tensors.items():
        index, _, name = key.partition(":")
        rows.setdefault(name, {})[int(index)] = tensor
    return {name: tuple(row[i] for i in sorted(row)) for name, row in rows.items()}


def _check(settings: RunSettings, before: Mapping[str, Any], folder: Path) -> None:
    now = decisive(settings)
    for name in sorted(now.keys() | before.keys()):
        if now.get(name) != before.get(name):
            raise BadInput(
                f"{name} is {now.get(name)!r}, but the run in {folder} was begun with "
                f"{before.get(name)!r}; set it back, or train anew without --resume"
            )
