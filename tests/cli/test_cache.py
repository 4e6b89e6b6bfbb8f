"""``mpiedge cache``: list, verify, remove."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mpiedge.cli.cache import cache
from mpiedge.errors import BadInput
from mpiedge.store.description import Description, describe
from mpiedge.store.place import rank_folder
from mpiedge.store.segment import open_segment
from tests.store.stored import fill

NAMES = ("0123456789abcdef", "0133456789abcdef")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, examples in zip(NAMES, (12, 13), strict=True):
        about = Description("bart", "g2p", "float32", 4, {"train": examples}, "today")
        describe(tmp_path / name, about)
        fill(rank_folder(tmp_path / name, "train", 0))
    return tmp_path


def said(*words: str, folder: Path, answer: str = "") -> tuple[str, int]:
    result = CliRunner().invoke(cache, [*words, "--folder", str(folder)], input=answer)
    if isinstance(result.exception, BadInput):
        raise result.exception
    return result.output, result.exit_code


def test_the_list(folder: Path) -> None:
    text, code = said("list", folder=folder)
    first, split, second, *_, last = text.splitlines()
    assert code == 0
    assert first.startswith(f"{NAMES[0]}  bart  g2p  float32  ")
    assert first.endswith(" KiB  complete")
    assert split == "  train: 12 of 12 examples"
    assert second.endswith("  incomplete")
    assert last.startswith("2 caches, ")
    assert last.endswith(f" in {folder}")


def test_the_list_for_a_program(folder: Path) -> None:
    text, code = said("list", "--json", folder=folder)
    first, second = json.loads(text)
    assert code == 0
    assert (first["key"], first["model"], first["complete"]) == (NAMES[0], "bart", True)
    assert first["splits"] == [{"name": "train", "whole": 12, "examples": 12}]
    assert not second["complete"]


def test_the_list_of_nothing(tmp_path: Path) -> None:
    assert said("list", folder=tmp_path / "none") == (
        f"0 caches, 0 bytes in {tmp_path / 'none'}\n",
        0,
    )


def test_a_cache_that_nobody_described(folder: Path) -> None:
    (folder / NAMES[0] / "key.json").unlink()
    text, _ = said("list", folder=folder)
    assert f"{NAMES[0]}  unknown  " in text
    assert "  train: 12 of ? examples" in text


def test_sound_caches(folder: Path) -> None:
    text, code = said("verify", folder=folder)
    assert code == 0
    assert text.splitlines() == [f"{name}/train/rank-0: 16 records, sound" for name in NAMES]


def test_damage_is_named_and_is_an_exit_code(folder: Path) -> None:
    place = rank_folder(folder / NAMES[1], "train", 0)
    segment = open_segment(place / "000000.h5")
    content = bytearray(segment.path.read_bytes())
    (place / "000001.h5").write_bytes(content[:-5])
    content[segment.position(segment.records[2])] ^= 255
    segment.path.write_bytes(content)
    text, code = said("verify", folder=folder)
    assert code == 1
    assert text.splitlines()[1] == f"{NAMES[1]}/train/rank-0: 12 records, DAMAGED"
    assert "  examples 2\n" in text
    assert "  000001.h5 is not whole: what it held will be recorded anew" in text
    assert said("verify", NAMES[0][:4], folder=folder)[1] == 0
    assert said("verify", NAMES[1], folder=folder)[1] == 1


def test_removing_one_asks(folder: Path) -> None:
    text, code = said("remove", "0123", folder=folder, answer="n\n")
    assert code == 1
    assert f"Remove {NAMES[0]} (" in text
    assert (folder / NAMES[0]).exists()
    text, code = said("remove", "0123", folder=folder, answer="y\n")
    assert code == 0
    assert "removed 1 cache, " in text
    assert [path.name for path in folder.iterdir()] == [NAMES[1]]


def test_removing_all_without_asking(folder: Path) -> None:
    (folder / "mine").mkdir()
    text, code = said("remove", "--all", "--yes", folder=folder)
    assert (code, text[:16]) == (0, "removed 2 caches")
    assert [path.name for path in folder.iterdir()] == ["mine"]
    assert said("remove", "--all", folder=folder) == ("removed 0 caches, 0 bytes\n", 0)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("remove",), "remove which cache"),
        (("remove", "01", "--all"), "remove which cache"),
        (("remove", "01", "--yes"), f"01 names 2 caches in .* there are {', '.join(NAMES)}"),
        (("verify", "ff"), "ff names 0 caches"),
    ],
)
def test_what_names_no_single_cache(words: tuple[str, ...], complaint: str, folder: Path) -> None:
    with pytest.raises(BadInput, match=complaint):
        said(*words, folder=folder)


@pytest.mark.parametrize("words", [("list",), ("remove", "--all", "--yes"), ("verify",)])
def test_torch_is_not_imported(words: tuple[str, ...], folder: Path) -> None:
    script = (
        "import sys\nfrom mpiedge.__main__ import main\n"
        f"code = main(['cache', *{words!r}, '--folder', {str(folder)!r}])\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
