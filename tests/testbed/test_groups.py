"""Control groups: where, what is written, what is read."""

from dataclasses import replace
from pathlib import Path

import pytest

from mpiedge.cgroup import Group
from mpiedge.testbed import groups
from mpiedge.testbed.groups import Trees
from tests.testbed.files import BOX, ONE_TREE, TWO_TREES


def test_a_group_below_is_below_in_both_trees() -> None:
    below = TWO_TREES.of("mpiedge-abc123", "box-0")
    assert below.cpu == Path("/sys/fs/cgroup/cpu/mpiedge-abc123/box-0")
    assert below.memory == Path("/sys/fs/cgroup/memory/mine/mpiedge-abc123/box-0")
    assert below.folders == (below.cpu, below.memory)
    assert ONE_TREE.of("x").folders == (Path("/sys/fs/cgroup/x"),)


def test_limits_of_version_1() -> None:
    at = TWO_TREES.of("x")
    written = [(str(path.relative_to("/sys/fs/cgroup")), v) for path, v in groups.limits(at, BOX)]
    assert written == [
        ("memory/mine/x/memory.limit_in_bytes", "268435456"),
        ("cpu/x/cpu.cfs_quota_us", "-1"),
        ("cpu/x/cpu.cfs_period_us", "20000"),
        ("cpu/x/cpu.cfs_quota_us", "10000"),
    ]
    assert groups.without_swap(at, BOX)[0].name == "memory.memsw.limit_in_bytes"
    assert groups.share(at) == []


def test_limits_of_version_2() -> None:
    at = ONE_TREE.of("x")
    names = {path.name: value for path, value in groups.limits(at, BOX)}
    assert names == {"memory.max": "268435456", "cpu.max": "10000 20000"}
    assert groups.without_swap(at, BOX) == (at.memory / "memory.swap.max", "0")
    shared = groups.share(at)
    assert [str(path) for path, _ in shared] == [
        "/sys/fs/cgroup/cgroup.subtree_control",
        "/sys/fs/cgroup/x/cgroup.subtree_control",
    ]
    assert {value for _, value in shared} == {"+cpu +memory"}


@pytest.mark.parametrize(
    ("cores", "quota"), [(2.5, "50000 20000"), (0.05, "1000 20000"), (0.03, "3000 100000")]
)
def test_a_small_share_has_a_long_period(cores: float, quota: str) -> None:
    assert groups.processor(ONE_TREE, cores)[0][1] == quota


@pytest.mark.parametrize(
    ("version", "name", "text"),
    [
        (1, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
        (2, "memory.events", "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\n"),
    ],
)
def test_kills_are_counted(tmp_path: Path, version: int, name: str, text: str) -> None:
    at = Trees(version, tmp_path, tmp_path)
    assert groups.kills(at) == 0
    (tmp_path / name).write_text(text)
    assert groups.kills(at) == 3


@pytest.mark.parametrize(
    ("version", "name"), [(1, "memory.max_usage_in_bytes"), (2, "memory.peak")]
)
def test_the_most_memory(tmp_path: Path, version: int, name: str) -> None:
    at = Trees(version, tmp_path, tmp_path)
    assert groups.peak(at) == 0
    (tmp_path / name).write_text("4096\n")
    assert groups.peak(at) == 4096


def test_processes_of_either_tree_count_once(tmp_path: Path) -> None:
    at = Trees(1, tmp_path / "cpu", tmp_path / "memory")
    assert groups.processes(at) == []
    for folder, pids in zip(at.folders, ("7\n5\n", "5\n9\n"), strict=True):
        folder.mkdir()
        (folder / "cgroup.procs").write_text(pids)
    assert groups.processes(at) == [5, 7, 9]


def test_limits_are_written_in_order(tmp_path: Path) -> None:
    groups.write([(tmp_path / "x", "1"), (tmp_path / "x", "2")])
    assert (tmp_path / "x").read_text() == "2"
    with pytest.raises(OSError, match="none"):
        groups.write([(tmp_path / "none" / "x", "1")])


def hierarchy(folder: Path, shared: str) -> Group:
    """A tree of version 2: /slice/own, of which /slice shares some controllers."""
    own = folder / "slice" / "own"
    own.mkdir(parents=True)
    (folder / "cgroup.subtree_control").write_text("cpuset cpu io memory pids\n")
    (folder / "slice" / "cgroup.subtree_control").write_text(shared)
    (own / "cgroup.subtree_control").write_text("")
    return Group(2, folder, own)


@pytest.mark.parametrize(("shared", "place"), [("cpu memory\n", "slice"), ("memory pids\n", ".")])
def test_groups_go_where_both_controllers_are_shared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: str, place: str
) -> None:
    own = hierarchy(tmp_path, shared)
    monkeypatch.setattr(groups.cgroup, "group", lambda _: own)
    assert groups.trees() == Trees(2, tmp_path / place, tmp_path / place)


def test_a_hierarchy_that_shares_nothing_gives_its_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Group(2, tmp_path, tmp_path)
    monkeypatch.setattr(groups.cgroup, "group", lambda _: own)
    assert groups.trees() == Trees(2, tmp_path, tmp_path)


def test_versions_that_differ_are_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"cpu": Group(1, Path("/a"), Path("/a")), "memory": Group(2, Path("/b"), Path("/b"))}
    monkeypatch.setattr(groups.cgroup, "group", kinds.get)
    assert groups.trees() is None
    monkeypatch.setitem(kinds, "memory", Group(1, Path("/b"), Path("/b/own")))
    assert groups.trees() == Trees(1, Path("/a"), Path("/b/own"))
    monkeypatch.delitem(kinds, "cpu")
    assert groups.trees() is None


def test_a_slower_device_has_less(tmp_path: Path) -> None:
    slow = dict(groups.limits(ONE_TREE, replace(BOX, cores=BOX.cores / 5)))
    assert slow[ONE_TREE.cpu / "cpu.max"] == "2000 20000"
