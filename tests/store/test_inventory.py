"""All caches under one folder, and reading them for damage."""

import subprocess
import sys
from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.store import image, inventory
from mpiedge.store.description import Description, describe
from mpiedge.store.inventory import Split
from mpiedge.store.place import rank_folder
from mpiedge.store.verify import verify
from tests.store.stored import DECODER, fill, opened, put

NAME = "0123456789abcdef"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two ranks with half of the layers each, and a validation split on one rank."""
    home = tmp_path / NAME
    about = Description("bart", "g2p", "float32", 4, {"train": 6, "validation": 12}, "today")
    describe(home, about)
    for rank, layers in enumerate((range(2), range(2, 4))):
        with opened(rank_folder(home, "train", rank)) as cache:
            put(cache, range(rank, 6), layers)
            cache.finish()
    fill(rank_folder(home, "validation", 1))
    return home


def test_what_is_there(home: Path) -> None:
    (tmp := home.parent / "not-a-key").mkdir()
    assert inventory.homes(home.parent) == [home]
    assert tmp.exists()
    found = inventory.look(home)
    assert found.description is not None
    assert found.description.model == "bart"
    assert found.splits == (Split("train", 5, 6), Split("validation", 12, 12))
    assert not found.complete
    assert found.size == sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


def test_what_ranks_have_together_is_complete(home: Path) -> None:
    with opened(rank_folder(home, "train", 1)) as cache:
        put(cache, [0])
        cache.finish()
    assert inventory.look(home).complete
    with opened(rank_folder(home, "train", 0)) as cache:
        cache.drop([0])
    assert inventory.look(home).complete
    with opened(rank_folder(home, "train", 1)) as cache:
        cache.drop([2])
    assert inventory.look(home).splits[0] == Split("train", 5, 6)


def test_without_a_description(home: Path) -> None:
    (home / "key.json").write_text("{")
    found = inventory.look(home)
    assert found.description is None
    assert [(one.name, one.examples) for one in found.splits] == [
        ("train", None),
        ("validation", None),
    ]
    assert not found.complete


def test_nothing_at_all(tmp_path: Path) -> None:
    assert inventory.homes(tmp_path / "nowhere") == []
    (tmp_path / NAME).mkdir()
    found = inventory.look(tmp_path / NAME)
    assert (found.size, found.splits, found.complete) == (0, (), False)


def test_removal(home: Path) -> None:
    with opened(rank_folder(home, "train", 1)):
        with pytest.raises(BadInput, match="in use by another process"):
            inventory.remove(home)
        assert len(inventory.rank_folders(home)) == 3
    inventory.remove(home)
    assert not home.exists()


def test_verifying_finds_each_damaged_record(home: Path) -> None:
    folder = rank_folder(home, "validation", 1)
    assert verify(folder).records == 16  # four examples lie in two runs of layers
    assert verify(folder).sound
    with opened(folder) as cache:
        entries = [cache.index.of(example)[-1] for example in (4, 9)]
    for entry in entries:
        content = bytearray(entry.segment.path.read_bytes())
        content[entry.segment.position(entry.record)] ^= 1
        entry.segment.path.write_bytes(content)
    verdict = verify(folder)
    assert not verdict.sound
    assert verdict.examples == (4, 9)
    assert verdict.files == ()
    with opened(folder) as cache:
        cache.drop([4, 9])
    assert verify(folder).sound


def test_verifying_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rank_folder(home, "validation", 1)
    short = folder / "000001.h5"
    short.write_bytes(short.read_bytes()[:-1])
    verdict = verify(folder)
    assert verdict.files == (short,)
    assert verdict.records == 12
    assert short.exists()
    monkeypatch.setattr(image, "FORMAT", 2)
    assert len(verify(folder).files) == 3
    assert inventory.look(home).splits[1] == Split("validation", 0, 12)


def test_other_versions_are_never_read_as_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpiedge.store.shelf.FORMAT", 2)
    monkeypatch.setattr(image, "FORMAT", 2)
    folder = rank_folder(home, "validation", 1)
    with (
        pytest.raises(BadInput, match=r"000000.h5 is in format 1, not 2; remove it"),
        opened(folder, DECODER),
    ):
        pass


def test_no_torch_is_needed() -> None:
    script = (
        "import sys\nimport mpiedge.store.inventory, mpiedge.store.verify\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run((sys.executable, "-c", script), check=True, timeout=60)
