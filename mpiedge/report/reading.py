"""An output directory, read into a story: whole, or as far as the run went.

What stands in the files is checked here once; a file that mpiedge did not write is one clear line.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mpiedge.config import parsed
from mpiedge.errors import BadInput
from mpiedge.report.story import Bar, Epoch, Rank, Scored, Sent, Step, Story
from mpiedge.strategy.storing import phase_from_json

_FACTS = ("caching", "rounds", "tuned_weights", "steps", "labels", "mpiedge")
_WRONG = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def read(folder: Path) -> Story:
    """The story of a run; raises BadInput where the folder is none of a run's."""
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}; name the output directory of a run, as runs/NAME")
    if not (folder / "run.toml").is_file():
        raise BadInput(
            f"{folder} has no run.toml, so no run began there; name the output directory of a run"
        )
    result = _values(folder / "result.json")
    status = _values(folder / "status.json")
    lines = list(_lines(folder / "metrics.jsonl"))
    settings = parsed(folder / "run.toml", "record of the settings")
    try:
        return Story(
            name=printable(folder.resolve().name),
            state="finished" if result else printable(str(status.get("state", ""))),
            settings={str(name): dict(section) for name, section in settings.items()},
            steps=tuple(_step(line) for line in lines if "loss" in line),
            scores=tuple(_scored(line) for line in lines if "evaluation" in line),
            epochs=tuple(_epoch(each) for each in result.get("epochs", ())),
            metrics={printable(k): float(v) for k, v in result.get("metrics", {}).items()},
            ranks=tuple(_rank(each) for each in result.get("ranks", ())),
            phases=tuple(phase_from_json(each) for each in result.get("plan", ())),
            bars=tuple(_bars(_values(folder / "trace.json"))),
            facts={name: result[name] for name in _FACTS if name in result},
            planned=int(result.get("steps") or status.get("steps") or 0),
        )
    except _WRONG as error:
        raise BadInput(
            f"the files in {folder} are not as this version of mpiedge writes them "
            f"({type(error).__name__}: {error}); report with the version that made the run"
        ) from None


def printable(text: str) -> str:
    """The text without what no page can hold: control characters and half characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _values(path: Path) -> Mapping[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{path} cannot be read ({error}); remove it to report on the rest"
        ) from None
    if not isinstance(values, dict):
        raise BadInput(f"{path} holds a {type(values).__name__} where values by name should be")
    return values


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of the record; one that was cut short is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            yield values


def _step(line: Mapping[str, Any]) -> Step:
    rate = float(line.get("learning_rate", 0))
    return Step(int(line["step"]), float(line["loss"]), rate, float(line["seconds"]))


def _scored(line: Mapping[str, Any]) -> Scored:
    metrics = {printable(name): float(value) for name, value in line["evaluation"].items()}
    return Scored(int(line["step"]), metrics)


def _epoch(value: Mapping[str, Any]) -> Epoch:
    return Epoch(int(value["epoch"]), float(value["seconds"]), int(value["examples"]))


def _rank(value: Mapping[str, Any]) -> Rank:
    sent = value["sent"].items()
    to: Mapping[str, Any] = value.get("sent_to", {})
    return Rank(
        number=int(value["rank"]),
        host=printable(str(value.get("host", ""))),
        layers=tuple(int(layer) for layer in value["layers"]),
        busy=float(value["busy_seconds"]),
        resident=int(value["peak_resident_bytes"]),
        sent=tuple(Sent(printable(k), int(c["messages"]), int(c["bytes"])) for k, c in sent),
        budget=int(value.get("memory_budget_bytes", 0)),
        device=int(value.get("peak_device_bytes", 0)),
        stored=int(value.get("cache_bytes", 0)),
        kinds={printable(k): int(v) for k, v in value.get("memory_bytes", {}).items()},
        joules=float(value.get("energy_joules", 0.0)),
        sensor=printable(str(value.get("energy_sensor", ""))),
        links={int(peer): int(size) for peer, size in to.items()},
    )


def _bars(trace: Mapping[str, Any]) -> Iterator[Bar]:
    """The complete events of a trace; anything else in it is not drawn."""
    for event in trace.get("traceEvents", ()):
        if event.get("ph") == "X":
            start, length = float(event["ts"]) / 1e6, float(event["dur"]) / 1e6
            what = printable(str(event.get("cat") or event.get("name") or "other"))
            batch = int(event.get("args", {}).get("batch", -1))
            yield Bar(int(event["tid"]), what, start, length, batch)
