"""Cluster files: what they say, and what is wrong with the others."""

from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed.cluster import Kind, Scale, name_of, read
from tests.testbed.files import PAIR, written

HOSTFILES = Path(__file__).parents[2] / "hostfiles"


def test_a_file_says_its_devices_and_its_scale(tmp_path: Path) -> None:
    text = "[scale]\nslowdown = 4\n" + PAIR + '[[device]]\nname = "pi"\ngflops = 2\n'
    cluster = read(written(tmp_path, text + "memory = 1\nrate = 10\ndelay = 3\n"))
    assert cluster.name == "pair"
    assert cluster.scale == Scale(slowdown=4.0, core_gflops=1.0, memory=1.0)
    assert cluster.kinds[1] == Kind("pi", 1, 2.0, 1.0, 10.0, 3.0)
    assert [name for name, _ in cluster.members] == ["box-0", "box-1", "pi"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "0 devices are no cluster; describe two or more"),
        (PAIR.replace("count = 2", ""), "1 devices are no cluster"),
        (PAIR + "speed = 3", r"device 1.speed is not a setting; .*gflops"),
        ("[scael]\n" + PAIR, r"scael is unknown; known: \[scale\], \[\[device\]\]"),
        ("[scale]\nspeed = 1\n" + PAIR, "scale.speed is not a setting; "),
        ("[scale]\nslowdown = 0\n" + PAIR, "scale.slowdown = 0 has to be above 0"),
        ("scale = 3\n" + PAIR, "scale = 3 has to be a section"),
        ("device = 3", r"write a section \[\[device\]\]"),
        ("[device]\nname = 'x'", r"write a section \[\[device\]\]"),
        (PAIR.replace("rate = 100", ""), "device 1.rate is missing"),
        (PAIR.replace("rate = 100", "rate = 0"), "device 1.rate = 0 has to be above 0"),
        (PAIR.replace("rate = 100", "rate = '1'"), "device 1.rate = '1' has to be a number"),
        (PAIR.replace("rate = 100", "rate = inf"), "device 1.rate = inf has to be a finite"),
        (PAIR.replace("count = 2", "count = 65"), "count = 65 has to be at most 64"),
        (PAIR + PAIR.replace("count = 2", "count = 63"), "65 devices are more than the 64"),
        (PAIR + PAIR, "two devices are called box-0"),
        (PAIR.replace('"box"', '"Box_1"'), "name = 'Box_1' cannot be a host name here"),
        (PAIR.replace('"box"', '"switch"'), "none of localhost, switch"),
        (PAIR.replace('"box"', f'"{"b" * 26}"'), "up to 25 small letters"),
        ("[[device", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint) as raised:
        read(written(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no cluster file .*none.toml"):
        read(tmp_path / "none.toml")


def test_a_cluster_is_called_as_its_file() -> None:
    assert name_of(Path("somewhere/nano-8.toml")) == name_of(Path("nano-8")) == "nano-8"
    with pytest.raises(BadInput, match="'My Cluster' is no name"):
        name_of(Path("My Cluster.toml"))


@pytest.mark.parametrize(("name", "count"), [("nano-8", 8), ("mixed-4", 4), ("wifi-4", 4)])
def test_the_clusters_of_the_repository(name: str, count: int) -> None:
    assert len(read(HOSTFILES / f"{name}.toml").members) == count
