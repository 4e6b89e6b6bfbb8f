"""Control groups, read from files as kernels write them."""

from pathlib import Path

import psutil
import pytest

from mpiedge import cgroup
from mpiedge.cgroup import UNLIMITED, Group

V1 = """31 23 0:28 / {top} rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / {top}/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / {top}/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / {top}/unified rw,relatime - cgroup2 cgroup2 rw
"""
V2 = "30 23 0:26 {root} {top} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def proc(folder: Path, mounts: str, own: str) -> Path:
    """A /proc of which only two files exist."""
    place = folder / "proc" / "self"
    place.mkdir(parents=True)
    (place / "mountinfo").write_text(mounts)
    (place / "cgroup").write_text(own)
    return place.parent


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    (tmp_path / "memory" / "jobs" / "a").mkdir(parents=True)
    own = "9:name=systemd:/\n4:memory:/jobs/a\n2:cpu,cpuacct:/\n0::/\n"
    place = proc(tmp_path, V1.format(top=tmp_path), own)
    memory = tmp_path / "memory"
    assert cgroup.group("memory", place) == Group(1, memory, memory / "jobs" / "a")
    assert cgroup.group("cpu", place) == Group(1, tmp_path / "cpu", tmp_path / "cpu")
    assert cgroup.group("devices", place) is None


def test_version_2_has_one(tmp_path: Path) -> None:
    (tmp_path / "user" / "me").mkdir(parents=True)
    write(tmp_path / "cgroup.controllers", "cpuset cpu io memory\n")
    place = proc(tmp_path, V2.format(top=tmp_path, root="/"), "0::/user/me\n")
    assert cgroup.group("cpu", place) == Group(2, tmp_path, tmp_path / "user" / "me")
    assert cgroup.group("hugetlb", place) is None


def test_a_container_may_see_only_its_own_part(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    write(tmp_path / "cgroup.controllers", "cpu memory\n")
    place = proc(tmp_path, V2.format(top=tmp_path, root="/docker/1"), "0::/docker/1/inner\n")
    assert cgroup.group("memory", place) == Group(2, tmp_path, tmp_path / "inner")


def test_a_group_that_is_not_to_be_seen_counts_as_the_top(tmp_path: Path) -> None:
    write(tmp_path / "cgroup.controllers", "cpu memory\n")
    place = proc(tmp_path, V2.format(top=tmp_path, root="/"), "0::/elsewhere\n")
    assert cgroup.group("memory", place) == Group(2, tmp_path, tmp_path)


def test_a_machine_without_the_files_has_no_groups(tmp_path: Path) -> None:
    assert cgroup.group("memory", tmp_path) is None


def test_the_lowest_limit_on_the_way_up_counts(tmp_path: Path) -> None:
    own = tmp_path / "a" / "b"
    write(own / "memory.max", "max\n")
    write(tmp_path / "a" / "memory.max", "1000\n")
    found = Group(2, tmp_path, own)
    assert [each.path for each in cgroup.lineage(found)] == [own, tmp_path / "a", tmp_path]
    assert cgroup.limit(found) == 1000
    assert cgroup.limit(Group(2, tmp_path, tmp_path)) == UNLIMITED


@pytest.mark.parametrize(
    ("version", "limit", "usage", "prefix"),
    [
        (1, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        (2, "memory.max", "memory.current", ""),
    ],
)
def test_files_that_the_kernel_keeps_leave_room(
    tmp_path: Path, version: int, limit: str, usage: str, prefix: str
) -> None:
    write(tmp_path / limit, "1000\n")
    write(tmp_path / usage, "700\n")
    write(tmp_path / "memory.stat", f"anon 5\n{prefix}active_file 100\n{prefix}inactive_file 50\n")
    assert cgroup.room(Group(version, tmp_path, tmp_path)) == 1000 - (700 - 150)


def test_the_least_room_on_the_way_up_counts(tmp_path: Path) -> None:
    write(tmp_path / "memory.max", "5000\n")
    write(tmp_path / "memory.current", "4900\n")
    write(tmp_path / "a" / "memory.max", "1000\n")
    write(tmp_path / "a" / "memory.current", "100\n")
    assert cgroup.room(Group(2, tmp_path, tmp_path / "a")) == 100


def test_memory_is_that_of_the_group_or_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "memory.max", "1000\n")
    write(tmp_path / "memory.current", "1100\n")
    monkeypatch.setattr(cgroup, "group", lambda _: Group(2, tmp_path, tmp_path))
    assert cgroup.total_memory() == 1000
    assert cgroup.usable_memory() == 0
    write(tmp_path / "memory.max", "max\n")
    assert cgroup.total_memory() == psutil.virtual_memory().total
    monkeypatch.setattr(cgroup, "group", lambda _: None)
    assert 0 < cgroup.usable_memory() <= cgroup.total_memory()
