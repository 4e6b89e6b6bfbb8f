"""The scripts by which processes get onto devices, run with stand-ins for what needs root."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mpiedge.testbed import scripts
from mpiedge.testbed.names import Names
from tests.testbed.files import BOX, FAR, TWO_TREES

NAMES = Names("abc123")


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_process_joins_the_groups_the_network_and_the_name(tmp_path: Path) -> None:
    at = TWO_TREES.of("mpiedge-abc123", "box-0")
    text = scripts.enter(BOX, NAMES, at, folder=tmp_path, scratch=Path("/tmp/a b"))
    assert f"echo $$ > {at.cpu}/cgroup.procs || exit 255" in text
    assert f"echo $$ > {at.memory}/cgroup.procs || exit 255" in text
    assert "--net=/run/netns/mpiedge-abc123-box-0 unshare --uts --mount" in text
    assert "export TMPDIR='/tmp/a b'" in text


def entering(folder: Path) -> Path:
    """The script of a device, with a group that anybody can join and no namespaces."""
    at = TWO_TREES.of()
    trees = type(at)(2, folder, folder)
    text = scripts.enter(BOX, NAMES, trees, folder=folder, scratch=folder)
    begin = text.index("exec nsenter")
    return program(folder / "enter-box-0", text[:begin] + 'exec "$@"\n')


def test_the_process_itself_is_in_the_group(tmp_path: Path) -> None:
    script = entering(tmp_path)
    done = subprocess.run(
        (script, "sh", "-c", 'echo $$ "$TMPDIR" $OMP_NUM_THREADS'),
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    )
    joined = (tmp_path / "cgroup.procs").read_text().strip()
    assert done.stdout.split() == [joined, str(tmp_path), "1"]


def test_a_device_without_power_does_not_answer(tmp_path: Path) -> None:
    script = entering(tmp_path)
    scripts.dead(tmp_path, "box-0").touch()
    done = subprocess.run((script, "true"), capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert done.stderr == "box-0 does not answer\n"
    assert not (tmp_path / "cgroup.procs").exists()


def agent(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    place = program(folder / "agent", scripts.agent(folder))
    environment = {"PATH": os.environ["PATH"], "HOME": "/root", "SECRET": "x"}
    return subprocess.run(
        (place, *words), capture_output=True, text=True, check=False, env=environment, timeout=20
    )


def test_the_agent_is_called_as_ssh_is(tmp_path: Path) -> None:
    program(tmp_path / "enter-box-0", '#!/bin/sh\necho on box-0\nexec "$@"\n')
    done = agent(tmp_path, "-x", "-q", "root@box-0", "echo", "one;", "echo", '"$HOME"; exit 7')
    assert done.stdout == "on box-0\none\n/root\n"
    assert done.returncode == 7


def test_a_login_brings_nothing_of_the_callers_environment(tmp_path: Path) -> None:
    program(tmp_path / "enter-box-0", '#!/bin/sh\nexec "$@"\n')
    assert agent(tmp_path, "box-0", "echo [$SECRET]").stdout == "[]\n"


@pytest.mark.parametrize("fault", [scripts.dead, scripts.cut])
def test_the_agent_waits_while_nothing_comes_from_the_device(
    tmp_path: Path, fault: Callable[[Path, str], Path]
) -> None:
    program(tmp_path / "enter-box-0", '#!/bin/sh\nexec "$@"\n')
    mark = fault(tmp_path, "box-0")
    done = agent(tmp_path, "box-0", f"touch {mark}; (sleep 0.5; rm {mark}) & kill -9 $$")
    assert done.returncode == 137
    assert not mark.exists()
    assert done.stderr == ""  # the shell's "Killed" is not for the user


def test_nobody_is_reached_over_a_cable_that_is_out(tmp_path: Path) -> None:
    program(tmp_path / "enter-box-0", '#!/bin/sh\nexec "$@"\n')
    scripts.cut(tmp_path, "box-0").touch()
    done = agent(tmp_path, "box-0", "true")
    assert done.returncode == 255
    assert done.stderr == "box-0 does not answer, the cable of box-0 is out\n"


def test_nobody_is_reached_from_a_device_whose_own_cable_is_out(tmp_path: Path) -> None:
    program(tmp_path / "enter-box-0", '#!/bin/sh\nexec "$@"\n')
    here = Path("/proc/sys/kernel/hostname").read_text().strip()
    scripts.cut(tmp_path, here).touch()
    assert agent(tmp_path, "box-0", "true").returncode == 255


def test_every_device_knows_all_of_them_by_name() -> None:
    assert scripts.hosts([BOX, FAR]).splitlines() == [
        "127.0.0.1 localhost",
        "10.77.0.10 box-0",
        "10.77.0.11 far",
    ]
