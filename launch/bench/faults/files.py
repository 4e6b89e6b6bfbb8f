"""What is mutated: a good file of each kind that a user gives, and the command that reads it."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import subjects

from mpiedge.__main__ import run
from mpiedge.config import read
from tests.mutations import damaged, mistaken, nonsense

HOSTS = "# this machine, with all its cores\nlocalhost slots = 4  # big\n\n# no other\n"
CLUSTER = Path(__file__).parents[3] / "hostfiles" / "wifi-4.toml"
SHORT = ("--set", "training.max_steps=3", "--set", "training.epochs=1")
TWICE = (
    "--set",
    "training.max_steps=15",
    "--set",
    "training.epochs=2",
)  # all is recorded, and read


class Case(NamedTuple):
    """A command, and what it has to come to where it works."""

    words: tuple[str, ...]
    out: Path | None = None
    like: Path | None = None
    """The output directory with the weights that ``out`` has to have, too."""


@dataclass(frozen=True)
class Ground:
    """Where the good files are, and where a damaged copy goes."""

    good: Path
    here: Path
    whole: bool = False  # nothing is damaged: what all has to work with

    def copied(self, name: str) -> Path:
        """A copy that may be damaged, of a file or a folder."""
        source, target = self.good / name, self.here / name
        if source.is_dir():
            return shutil.copytree(source, target)
        return Path(shutil.copy2(source, target))

    def changed(self, dice: random.Random, paths: list[Path]) -> None:
        """Damage one of these files; of a text sometimes a value, not a byte."""
        path = dice.choice(sorted(paths))
        if self.whole:
            return
        text = path.suffix in (".toml", ".tsv", ".json")
        if text and dice.random() < 0.4:
            path.write_text(nonsense(path.read_text(encoding="utf-8"), dice), encoding="utf-8")
        else:
            path.write_bytes(damaged(path.read_bytes(), dice))


def prepared(good: Path) -> None:
    """Make the good files; trains twice for a moment."""
    good.mkdir(parents=True)
    subjects.model(good / "model")
    subjects.data(good / "data")
    (good / "hosts").write_text(HOSTS, encoding="utf-8")
    shutil.copy2(CLUSTER, good / "cluster.toml")
    for strategy, name, length in (("pipeline", "run", SHORT), ("pac", "cached", TWICE)):
        text = subjects.run_file(good, strategy, good / name).read_text(encoding="utf-8")
        text = text.replace(f"every = {subjects.EVERY}", "every = 1")
        text = text.replace("[cache]", "[cache]\nkeep = true")
        (good / f"{name}.toml").write_text(text, encoding="utf-8")
        out = good / f"{name}-out"
        words = ("train", str(good / f"{name}.toml"), *length, "--output-dir", str(out))
        if run(words, speaks=True) != 0:
            raise SystemExit(f"the undamaged {name} does not train")


def _run_file(at: Ground, dice: random.Random) -> Case:
    path = at.copied("run.toml")
    if at.whole or dice.random() < 0.5:
        at.changed(dice, [path])
    else:
        values = asdict(read(path))
        path.write_text(mistaken(values, dice), encoding="utf-8")
    return Case(("train", str(path), *SHORT, "--output-dir", str(at.here / "out")))


def _hostfile(at: Ground, dice: random.Random) -> Case:
    path = at.copied("hosts")
    at.changed(dice, [path])
    return Case(("launch", "--hostfile", str(path), "--dry-run", "--", "train", "run.toml"))


def _cluster(at: Ground, dice: random.Random) -> Case:
    path = at.copied("cluster.toml")
    at.changed(dice, [path])
    return Case(("simulate", str(at.good / "run.toml"), "--cluster", str(path), "--json"))


def _data(at: Ground, dice: random.Random) -> Case:
    folder = at.copied("data")
    at.changed(dice, list(folder.iterdir()))
    words = ("train", str(at.good / "run.toml"), *SHORT)
    more = ("--set", f"task.data={folder}", "--output-dir", str(at.here / "out"))
    return Case((*words, *more))


def _adapter(at: Ground, dice: random.Random) -> Case:
    folder = at.copied("run-out")
    files = [folder / "run.toml", folder / "result.json", *(folder / "adapter").iterdir()]
    at.changed(dice, files)
    if dice.random() < 0.5:
        return Case(("predict", str(folder), "turn on the kitchen light"))
    return Case(("evaluate", str(folder)))


def _checkpoint(at: Ground, dice: random.Random) -> Case:
    folder = at.copied("run-out")
    parts = sorted((folder / "checkpoints").iterdir())
    for part in dice.sample(parts, dice.randint(1, len(parts))):
        at.changed(dice, [part])
    words = ("train", str(at.good / "run.toml"), *SHORT, "--resume", str(folder))
    return Case(words, folder, at.good / "run-out")


def _cache(at: Ground, dice: random.Random) -> Case:
    folder = shutil.copytree(at.good / "cached" / "caches", at.here / "caches")
    files = [path for path in folder.rglob("*") if path.is_file()]
    for _ in range(dice.randint(1, 3)):
        at.changed(dice, files)
    out, words = at.here / "out", ("train", str(at.good / "cached.toml"), *TWICE)
    more = ("--set", f"cache.folder={folder}", "--output-dir", str(out))
    return Case((*words, *more), out, at.good / "cached-out")


KINDS: dict[str, Callable[[Ground, random.Random], Case]] = {
    "run file": _run_file,
    "hostfile": _hostfile,
    "cluster file": _cluster,
    "data": _data,
    "adapter": _adapter,
    "checkpoint": _checkpoint,
    "cache": _cache,
}
"""Damages something; the command that has to cope with it."""


def quiet(place: Path) -> None:
    """Let nothing be written to, or taken from, where the user keeps things."""
    os.environ.update(HF_HUB_OFFLINE="1", XDG_CACHE_HOME=str(place / "home"))
    os.chdir(place)
