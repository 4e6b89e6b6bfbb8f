"""What devices have used, in words and as JSON."""

import json
from pathlib import Path

import pytest

from mpiedge.testbed import usage
from mpiedge.testbed.standing import Standing, claim, myself
from tests.testbed.files import FAR, GONE, standing

SAID = '[{"ifname": "eth0", "stats64": {"rx": {"bytes": 20}, "tx": {"bytes": 10}}}]'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Standing:
    """A testbed on whose first device something was killed for its memory."""
    made = standing(tmp_path, myself())
    claim(made)
    at = made.group_of(made.devices[0]).memory
    at.mkdir(parents=True)
    (at / "memory.oom_control").write_text("oom_kill 1\n")
    (at / "memory.max_usage_in_bytes").write_text(f"{2**20}\n")
    (at / "cgroup.procs").write_text("5\n6\n")
    monkeypatch.setattr(usage.shell, "output", lambda _: SAID)
    return made


def test_usage_of_each_device(place: Standing) -> None:
    first, second = usage.used(place)
    assert first == usage.Usage(2**20, 10, 20, 1)
    assert second == usage.Usage(0, 10, 20, 0)


def test_a_device_without_a_network_has_sent_nothing(
    place: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage.shell, "output", lambda _: "")
    assert usage.used(place)[0].sent_bytes == 0


def test_a_report_holds_the_run_and_its_faults(place: Standing) -> None:
    place.events.write_text('{"fault": "cut"}\n')
    found = json.loads(usage.report(place, 137, 2.5))
    assert (found["cluster"], found["exit_code"], found["seconds"]) == ("pair", 137, 2.5)
    assert found["faults"] == [{"fault": "cut"}]
    assert found["devices"][0]["name"] == "box-0"
    assert found["devices"][0]["memory_kills"] == 1


def test_a_testbed_in_lines(place: Standing) -> None:
    (place.folder / "dead-far").touch()
    title, first, second = usage.lines(place)
    assert title.startswith(f"pair: belongs to process {myself().pid}; links by tbf; ")
    assert "box-0 10.77.0.10: 0.50 cores, 256 MiB, 100.0 Mb/s; 2 processes" in first
    assert "at most 1 MiB used, 10 bytes sent, 20 received, 1 killed for memory" in first
    assert second.endswith("0 killed for memory, no power")


def test_who_a_testbed_belongs_to(tmp_path: Path) -> None:
    assert "stands until it is taken down" in usage.lines(standing(tmp_path))[0]
    assert "is left of a killed command" in usage.lines(standing(tmp_path, GONE))[0]


def test_a_delay_is_named() -> None:
    assert usage.share(FAR) == "far 10.77.0.11: 0.25 cores, 128 MiB, 20.0 Mb/s, 10.0 ms"
