"""What a cache is of."""

import os
from pathlib import Path

import pytest

from mpiedge.store import key
from mpiedge.store.key import Key, fingerprint

KEY = Key("ab12", "bert", "none", "float32", 13, "cd34", "float32")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "model-1.safetensors", tmp_path / "model-2.safetensors"]
    made[0].write_bytes(os.urandom(3_000_000))
    made[1].write_bytes(b"second")
    return made


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read for their digest."""
    found: list[str] = []
    real = key._digest
    monkeypatch.setattr(key, "_digest", lambda path: found.append(path.name) or real(path))
    return found


@pytest.mark.parametrize("field", Key._fields)
def test_everything_counts(field: str) -> None:
    other = KEY._replace(**{field: 14 if field == "layers" else "other"})
    assert other.name != KEY.name
    assert len(KEY.name) == 16
    assert int(KEY.name, 16) >= 0
    assert KEY.name == Key(*KEY).name


def test_the_version_of_the_format_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = KEY.name
    monkeypatch.setattr(key, "FORMAT", 99)
    assert KEY.name != before


def test_contents_and_order_count_and_nothing_else(files: list[Path], tmp_path: Path) -> None:
    home = tmp_path / "home"
    found = fingerprint(files, home)
    assert fingerprint(files[::-1], home) != found
    moved = [path.rename(path.with_name(f"other-{path.name}")) for path in files]
    assert fingerprint(moved, tmp_path / "elsewhere") == found
    content = bytearray(moved[0].read_bytes())
    content[-1] ^= 1
    moved[0].write_bytes(content)
    assert fingerprint(moved, home) != found


def test_what_has_not_changed_is_not_read_again(
    files: list[Path], reads: list[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    found = fingerprint(files, home)
    assert reads == ["model-1.safetensors", "model-2.safetensors"]
    assert fingerprint(files, home) == found
    assert len(reads) == 2
    files[1].write_bytes(b"secnod")  # the same size
    os.utime(files[1], ns=(1, 1))
    assert fingerprint(files, home) != found
    assert reads[2:] == ["model-2.safetensors"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "\0"])
def test_notes_that_are_damaged(
    content: str, files: list[Path], reads: list[str], tmp_path: Path
) -> None:
    found = fingerprint(files, tmp_path)
    damaged = content.replace("x", str(files[0].resolve()))
    (tmp_path / "fingerprints.json").write_text(damaged)
    assert fingerprint(files, tmp_path) == found
    assert len(reads) == 4
    assert fingerprint(files, tmp_path) == found
    assert len(reads) == 4


def test_notes_that_cannot_be_made(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = fingerprint(files, tmp_path / "file" / "home")
    assert found == fingerprint(files, tmp_path / "home")
