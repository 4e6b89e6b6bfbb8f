"""``mpiedge testbed`` as a user meets it, as far as no root is needed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mpiedge.cli import testbed as module
from mpiedge.errors import BadInput
from mpiedge.testbed import building, standing
from mpiedge.testbed.removing import remove
from mpiedge.testbed.standing import claim, myself
from tests.testbed.files import FIT, GONE, PAIR, written
from tests.testbed.files import standing as described


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where testbeds are described, on a machine that has everything."""
    monkeypatch.setattr(standing, "ROOT", tmp_path / "root")
    monkeypatch.setattr(module.standing, "every", lambda _=None: _every(tmp_path / "root"))
    for each in (module, building.machine):
        monkeypatch.setattr(each, "look", lambda *, trial: FIT)
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)
    return tmp_path


_every = standing.every


def asked(*words: str) -> Result:
    return CliRunner().invoke(module.testbed, words)


def complaint(*words: str) -> str:
    result = asked(*words)
    assert isinstance(result.exception, BadInput), result.output
    return str(result.exception)


def test_a_machine_that_has_everything(place: Path) -> None:
    result = asked("check")
    assert result.exit_code == 0
    assert result.output == (
        "testbeds can run here: control groups version 1, delays by a program, "
        "since there is no netem\n"
    )


def test_a_cluster_is_shown_as_it_will_be(place: Path) -> None:
    result = asked("check", str(written(place)))
    assert result.exit_code == 0
    assert result.output.splitlines()[:2] == [
        "box-0 10.77.0.10: 0.50 cores, 256 MiB, 100.0 Mb/s",
        "box-1 10.77.0.11: 0.50 cores, 256 MiB, 100.0 Mb/s",
    ]


def test_everything_that_is_missing_is_listed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = replace(FIT, tools=FIT.tools - {"ip"}, lacks=frozenset({"tbf"}))
    monkeypatch.setattr(module, "look", lambda *, trial: bare)
    result = asked("check")
    assert result.exit_code == 1
    assert [line.partition(":")[0] for line in result.output.splitlines()] == ["missing"] * 2


@pytest.mark.parametrize("command", ["up", "check", "run"])
def test_a_cluster_that_is_too_large(place: Path, command: str) -> None:
    file = written(place, PAIR.replace("0.25", "2"))
    more = ("--", "doctor") if command == "run" else ()
    said = complaint(command, str(file), *more)
    assert "4.0 GiB of memory together, more than the 1.0 GiB of this machine" in said


@pytest.mark.parametrize("command", ["up", "run"])
def test_who_is_not_root(place: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(building.machine, "look", lambda *, trial: replace(FIT, root=False))
    assert "you are not root" in complaint(command, str(written(place)))
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    assert "only by root; use sudo" in complaint("fault", "cut", "box-0")
    assert "only by root; use sudo" in complaint("down")


def test_a_name_that_is_in_use(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = described(place, myself())
    claim(other)
    monkeypatch.setattr(module, "described", lambda _: replace(other, token="def456"))
    assert "the name pair is in use" in complaint("up", str(written(place)))


def test_faults_need_a_device_and_a_testbed(place: Path) -> None:
    assert asked("fault", "explode", "box-0").exit_code == 2
    assert asked("fault", "cut").exit_code == 2
    assert "no testbed stands" in complaint("fault", "cut", "box-0")


def test_down_leaves_alone_what_a_command_runs(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cluster, owner in (("mine", myself()), ("gone", GONE), ("stays", None)):
        claim(described(place, owner, cluster))
    assert asked("down").output.splitlines() == ["gone is down", "stays is down"]
    assert asked("down").output == ""
    assert "no testbed of the cluster other stands; there are: mine" in complaint("down", "other")
    assert asked("down", "hostfiles/mine.toml").output == "mine is down\n"


def test_status_lists_what_stands(place: Path) -> None:
    assert asked("status").output == ""
    made = described(place)
    claim(made)
    lines = asked("status").output.splitlines()
    assert lines[0].startswith("pair: stands until it is taken down")
    assert len(lines) == 3
    remove(made)


def test_a_run_uses_what_up_has_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(described(place))
    seen: list[tuple[str, ...]] = []

    def run(on: standing.Standing, planned: object, environment: object, *, reads: bool) -> int:
        seen.append((on.cluster, str(reads)))
        return 7

    monkeypatch.setattr(module.running, "run", run)
    report = place / "report.json"
    result = asked("run", str(written(place)), "--report", str(report), "--", "predict", "x")
    assert result.exit_code == 7
    assert seen == [("pair", "True")]
    assert json.loads(report.read_text())["exit_code"] == 7
    assert (place / "root" / "pair").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "run what?"),
        (("--", "testbed"), "'testbed' is neither a command of mpiedge"),
        (("-n", "9", "--", "doctor"), "-n 9 is not a number of ranks from 1 to the 2 devices"),
    ],
)
def test_what_cannot_be_run(place: Path, words: tuple[str, ...], said: str) -> None:
    claim(described(place))
    assert said in complaint("run", str(written(place)), *words)
