"""Files that were damaged or filled with nonsense: one line of complaint, or they work."""

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mpiedge.comm.threads import alone
from mpiedge.config import RunSettings, read, to_toml
from mpiedge.errors import BadInput
from mpiedge.launch import hostfile
from mpiedge.launch.hostfile import MOST_SLOTS
from mpiedge.run.journal import Journal
from mpiedge.run.opening import open_run
from mpiedge.run.preparing import prepare
from mpiedge.run.progress import Silent
from mpiedge.run.resuming import FOLDER, find
from mpiedge.store.checkpoint import parts_in, pieces_of, write
from mpiedge.store.settings import CheckpointSettings
from tests.models import save_tiny
from tests.mutations import VALUES, damaged, mistaken
from tests.runs import run, settings, write_requests

HOSTS = b"localhost slots=2\n# the others\npi-1\npi-2 slots = 4  # big\n192.168.1.7 slots=1\n"
STRATEGIES = ("pipeline", "ring", "split", "deft", "fedlora", "data-parallel")


class Tally:
    """How often a thing was refused, and how often it worked."""

    def __init__(self) -> None:
        self.refused = self.worked = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Nothing but a single line may come of it."""
        try:
            yield
        except BadInput as bad:
            self.refused += 1
            assert "\n" not in str(bad)
        else:
            self.worked += 1


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> RunSettings:
    folder = tmp_path_factory.mktemp("mutated")
    requests = write_requests(folder / "requests", rows=12)
    return settings(save_tiny("bert", folder / "bert", blocks=2), requests)


def _prepared(given: RunSettings) -> None:
    run = prepare(open_run(given, alone()), Journal(None, Silent()))
    with run.kept():
        pass


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_settings_that_nobody_meant(
    strategy: str, good: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dice, tally, path = random.Random(strategy), Tally(), tmp_path / "run.toml"
    values = asdict(good)
    values["strategy"]["name"] = strategy
    values["cache"]["folder"] = str(tmp_path / "caches")
    for _ in range(30):
        path.write_text(mistaken(values, dice), encoding="utf-8")
        with tally.one():
            _prepared(read(path))
    assert tally.refused > tally.worked > 0


@pytest.mark.parametrize("value", [each for each in VALUES if isinstance(each, str)])
@pytest.mark.parametrize(
    "name", [("model", "name"), ("task", "data"), ("task", "target_tokenizer"), ("cache", "folder")]
)
def test_names_that_no_file_has(
    name: tuple[str, str],
    value: str,
    good: RunSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    values = asdict(good)
    values[name[0]][name[1]] = value
    tally, path = Tally(), tmp_path / "run.toml"
    path.write_text(mistaken(values, _Never()), encoding="utf-8")
    with tally.one():
        _prepared(read(path))
    assert tally.refused + tally.worked == 1


class _Never(random.Random):
    """Changes nothing."""

    def randint(self, a: int, b: int) -> int:
        return 0


def test_run_files_with_damaged_bytes(good: RunSettings, tmp_path: Path) -> None:
    dice, tally, path = random.Random(1), Tally(), tmp_path / "run.toml"
    for _ in range(300):
        path.write_bytes(damaged(to_toml(good).encode(), dice))
        with tally.one():
            read(path)
    assert tally.refused > 100


@pytest.mark.parametrize("value", [2**70, -(2**64), 10**400])
def test_numbers_of_too_many_bits_are_said(value: int, good: RunSettings, tmp_path: Path) -> None:
    for section, key in (("training", "threads"), ("training", "learning_rate")):
        with pytest.raises(BadInput, match=rf"{section}\.{key} is a number of \d+ bits; it has to"):
            read_with(good, tmp_path, f"{section}.{key}={value}")


def read_with(good: RunSettings, folder: Path, override: str) -> RunSettings:
    """The settings as a run file gives them, with one replaced."""
    (folder / "run.toml").write_text(to_toml(good), encoding="utf-8")
    return read(folder / "run.toml", [override])


def test_damaged_hostfiles(tmp_path: Path) -> None:
    dice, tally, path = random.Random(2), Tally(), tmp_path / "hosts"
    for _ in range(500):
        path.write_bytes(damaged(HOSTS, dice))
        with tally.one():
            hosts = hostfile.read(path)
            assert hosts and all(1 <= host.slots <= MOST_SLOTS for host in hosts)
    assert min(tally.refused, tally.worked) > 50


def pipelined(good: RunSettings) -> RunSettings:
    """The run over several ranks."""
    return replace(good, strategy=replace(good.strategy, name="pipeline"))


@pytest.fixture(scope="module")
def kept(good: RunSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of a run with two checkpoints of two parts."""
    folder = tmp_path_factory.mktemp("kept")
    often = CheckpointSettings(every=1, seconds=0.0)
    run(replace(pipelined(good), checkpoint=often), 2, folder)
    assert len(parts_in(folder / FOLDER)) == 4
    return folder


def test_damaged_checkpoints(good: RunSettings, kept: Path, tmp_path: Path) -> None:
    dice, tally, opened = random.Random(3), Tally(), open_run(pipelined(good), alone())
    newest = find(opened, kept).position.done
    for number in range(40):
        folder = shutil.copytree(kept, tmp_path / str(number))
        files = sorted((folder / FOLDER).iterdir())
        for path in dice.sample(files, dice.randint(1, 3)):
            if dice.random() < 0.3:
                path.rename(path.with_name(path.name.replace("update-0", "update-1", 1)))
            else:
                path.write_bytes(damaged(path.read_bytes(), dice))
        with tally.one():
            assert find(opened, folder).position.done in (newest, newest - 1)
    assert min(tally.refused, tally.worked) > 5


@pytest.mark.parametrize("facts", [{}, {"run": "x"}, {"settings": {}, "done": 3, "run": "x"}])
def test_checkpoints_of_another_make_are_none(
    facts: dict[str, object], good: RunSettings, tmp_path: Path
) -> None:
    write(tmp_path / FOLDER, 3, 0, 1, pieces_of({}, facts))
    with pytest.raises(BadInput, match="there is no whole checkpoint in"):
        find(open_run(good, alone()), tmp_path)
