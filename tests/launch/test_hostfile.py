"""What a hostfile may say, and what is said about one that cannot be used."""

from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.launch.hostfile import Host, first, read


def written(folder: Path, text: str) -> Path:
    path = folder / "hosts"
    path.write_text(text, encoding="utf-8")
    return path


def test_hosts_in_order_with_comments_and_blank_lines(tmp_path: Path) -> None:
    text = "# my boards\npi-0 slots=2\n\n10.0.0.7 slots = 4  # the fast one\n  pi-2.lan\n"
    assert read(written(tmp_path, text)) == (
        Host("pi-0", 2),
        Host("10.0.0.7", 4),
        Host("pi-2.lan", 1),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no host"),
        ("# nothing\n\n", "names no host"),
        ("pi-0 slots=0", "slots=0 is not a number"),
        ("pi-0 slots=two", "slots=two is not a number"),
        ("pi-0 slots=", "slots= is not a number"),
        ("pi-0 slots=1000", "slots=1000 is not a number of ranks from 1 to 128"),
        ("pi-0 slot=1", "'slot=1' is not understood"),
        ("pi-0\n-pi", "line 2: '-pi' is not a host's name"),
        ("pi-0 slots=1\npi-1\npi-0 slots=2", "line 3: pi-0 is there twice"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        read(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        read(tmp_path / "missing")
    with pytest.raises(BadInput, match="Is a directory"):
        read(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not a text file"):
        read(tmp_path / "binary")


def test_ranks_fill_the_first_hosts() -> None:
    hosts = (Host("a", 2), Host("b", 3), Host("c", 1))
    assert first(hosts, 1) == (Host("a", 1),)
    assert first(hosts, 4) == (Host("a", 2), Host("b", 2))
    assert first(hosts, 6) == hosts
