"""A run file: TOML, read into one frozen dataclass a section.

Unknown keys, wrong types and values out of bounds are one-line errors that say what was given and
what would be right.
"""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import Field, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, get_type_hints

import tomli_w

from mpiedge.comm.settings import CommSettings
from mpiedge.errors import BadInput
from mpiedge.model.settings import AdapterSettings, ModelSettings
from mpiedge.pipeline.settings import TrainingSettings
from mpiedge.settings import Declared
from mpiedge.store.settings import CacheSettings, CheckpointSettings
from mpiedge.strategy.settings import StrategySettings
from mpiedge.task.settings import TaskSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Values = dict[str, dict[str, Any]]

_LARGEST = 2**63
_LONGEST = 255  # bytes of a file's name

_WORDS = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list[str]: "a list of strings",
    list[int]: "a list of whole numbers",
    list[float]: "a list of numbers",
}


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides a run."""

    model: ModelSettings = field(default_factory=ModelSettings)
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    task: TaskSettings = field(default_factory=TaskSettings)
    strategy: StrategySettings = field(default_factory=StrategySettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    checkpoint: CheckpointSettings = field(default_factory=CheckpointSettings)
    comm: CommSettings = field(default_factory=CommSettings)


def read(path: Path, overrides: Iterable[str] = ()) -> RunSettings:
    """The settings in a run file, ``section.key=value`` overrides applied; raises BadInput."""
    return settled(parsed(path), overrides, str(path))


def settled(values: Values, overrides: Iterable[str], where: str) -> RunSettings:
    """Settings from plain values, overrides applied, that name a model and a task."""
    settings = from_values(values, where)
    for override in overrides:
        settings = _overridden(settings, override)
    for section, key, why in (
        ("model", "name", "the model to fine-tune"),
        ("task", "name", "what is to be learnt"),
    ):
        if not getattr(getattr(settings, section), key):
            raise BadInput(f"{where}: {section}.{key} is missing; it says {why}")
    return settings


def from_values(values: Values, where: str) -> RunSettings:
    """Settings from plain values; ``where`` stands before each error."""
    known = get_type_hints(RunSettings)
    sections = {}
    for name, given in values.items():
        if name not in known:
            raise BadInput(f"{where}: unknown section [{name}]{_near(name, known)}")
        if not isinstance(given, dict):
            raise BadInput(f"{where}: {name} = {given!r} stands outside a section")
        sections[name] = section_of(known[name], name, given, where)
    return RunSettings(**sections)


def to_toml(settings: RunSettings) -> str:
    """A run file that reads back as the same settings."""
    return tomli_w.dumps(asdict(settings))


def flat(settings: RunSettings) -> dict[str, Any]:
    """Every setting by its full name."""
    sections = asdict(settings)
    return {f"{name}.{key}": value for name in sections for key, value in sections[name].items()}


def located(settings: RunSettings, beside: Path) -> RunSettings:
    """The settings with absolute paths: from the current folder, else from ``beside``.

    What is no path (a hub id, a package) and what is nowhere stays as it is.
    """

    def found(name: str) -> str:
        plain = Path(name).expanduser()
        places = [place.resolve() for place in (plain, beside / plain) if _there(place)]
        return str(places[0]) if name and places else name

    task = settings.task
    return replace(
        settings,
        model=replace(settings.model, name=found(settings.model.name)),
        strategy=replace(settings.strategy, cluster=found(settings.strategy.cluster)),
        task=replace(
            task,
            data=found(task.data),
            target_tokenizer=found(task.target_tokenizer),
            client_files=[found(name) for name in task.client_files],
        ),
    )


def _there(place: Path) -> bool:
    """Whether a path is there; a name that no path can have is not."""
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def described() -> Iterator[tuple[str, str, Any, Declared]]:
    """Every setting: its section, its key, its default, and its declaration."""
    for section, kind in get_type_hints(RunSettings).items():
        defaults = kind()
        for one in fields(kind):
            yield section, one.name, getattr(defaults, one.name), one.metadata["declared"]


def parsed(path: Path, what: str = "run file") -> dict[str, Any]:
    """What a TOML file holds; ``what`` it should be stands in the errors."""
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return values
    except FileNotFoundError:
        raise BadInput(f"no {what} {path}; name an existing .toml file") from None
    except IsADirectoryError:
        raise BadInput(f"{path} is a folder; name a {what} (.toml)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as a {what}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}") from None


def _overridden(settings: RunSettings, override: str) -> RunSettings:
    """The settings with one ``section.key=value``; the value is TOML, a bare word a string."""
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and section and key):
        raise BadInput(f"--set {override!r} is not section.key=value, as training.epochs=1 is")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    given = getattr(from_values({section: {key: value}}, f"--set {override}"), section)
    changed = replace(getattr(settings, section), **{key: getattr(given, key)})
    return replace(settings, **{section: changed})


def section_of(kind: type, section: str, given: dict[str, Any], where: str) -> Any:
    """A dataclass of settings from plain values; ``where`` and ``section`` stand in the errors."""
    known, types = {one.name: one for one in fields(kind)}, get_type_hints(kind)
    values = {}
    for key, value in given.items():
        name = f"{where}: {section}.{key}"
        if key not in known:
            raise BadInput(f"{name} is not a setting{_near(key, known)}")
        for one in value if isinstance(value, list) else [value]:
            _check_number(name, one)
            _check_text(name, one)
        values[key] = _converted(value, types[key])
        if not _is_a(values[key], types[key]):
            raise BadInput(f"{name} = {value!r} has to be {_WORDS[types[key]]}")
        _check_bounds(name, value, known[key])
    return replace(kind(), **values)


def _converted(value: Any, kind: Any) -> Any:
    """A whole number may stand for a number, and a single string for a list of one."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return [value] if kind == list[str] and isinstance(value, str) else value


def _is_a(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (str, bool):
        return isinstance(value, kind)
    (item,) = kind.__args__
    return isinstance(value, list) and all(_is_a(one, item) for one in value)


def _check_number(name: str, value: Any) -> None:
    """Refuse numbers that nothing can be reckoned with; TOML's own have 64 bits."""
    if isinstance(value, float) and not isfinite(value):
        raise BadInput(f"{name} = {value} has to be a finite number")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise BadInput(f"{name} is a number of {value.bit_length()} bits; it has to fit in 64")


def _check_text(name: str, value: Any) -> None:
    """Refuse what no file can be called: many settings are paths."""
    if not isinstance(value, str):
        return
    if "\0" in value:
        raise BadInput(f"{name} = {value!r} has a zero byte in it; take it out")
    longest = max(len(part.encode(errors="replace")) for part in value.split("/"))
    if longest > _LONGEST:
        raise BadInput(f"{name} has a name of {longest} bytes in it; give at most {_LONGEST}")


def _check_bounds(name: str, value: Any, declared_in: "Field[Any]") -> None:
    declared: Declared = declared_in.metadata["declared"]
    for word in value if isinstance(value, list) else [value]:
        if declared.choices and word not in declared.choices:
            near = get_close_matches(word, declared.choices, n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise BadInput(f"{name} = {word!r} is not one of {', '.join(declared.choices)}{meant}")
    if isinstance(value, list):
        return
    if declared.least is not None and not value >= declared.least:
        raise BadInput(f"{name} = {value} has to be at least {declared.least:g}")
    if declared.above is not None and not value > declared.above:
        raise BadInput(f"{name} = {value} has to be above {declared.above:g}")
    if declared.most is not None and not value <= declared.most:
        raise BadInput(f"{name} = {value} has to be at most {declared.most:g}")


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=2)
    return f"; did you mean {' or '.join(near)}?" if near else f"; known: {', '.join(known)}"
