"""Testbeds as they are: made, used, disturbed and taken down, on a machine where that can be."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpiedge.testbed import groups, standing
from tests.testbed.files import PAIR
from tests.testbed.real import LIMIT, Place, left, needs_root, place, until

pytestmark = needs_root

SMALL = "[scale]\nmemory = 0.375\n" + PAIR  # 96 MiB each
BUSY = "import time; e = time.time() + 1\nwhile time.time() < e: pass\nprint(time.process_time())"
HELLO = (
    "import socket; from mpi4py import MPI; world = MPI.COMM_WORLD\n"
    "print(world.rank, *world.allgather(socket.gethostname()), flush=True)\n"
)
WAIT = HELLO + "import time; time.sleep(60)\n"
GREEDY = HELLO + "x = []\nwhile world.rank: x.append(b'1' * 2**20)\nworld.Barrier()\n"
LISTEN = (
    "import socket; server = socket.create_server(('', 7000)); print('ready', flush=True)\n"
    "peer, _ = server.accept(); peer.sendall(b'x' * 100000)\n"
    "while peer.recv(65536): pass\n"
)
ASK = (
    "import socket, time; began = time.monotonic()\n"
    "peer = socket.create_connection(('box-1', 7000), timeout=20)\n"
    "size = 0\n"
    "while size < 100000: size += len(peer.recv(65536))\n"
    "print(time.monotonic() - began)\n"
)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Place]:
    """A cluster of two devices."""
    with place(tmp_path, SMALL) as found:
        yield found


def ask(pair: Place) -> float:
    """Seconds in which the first device got 100 kB from the second."""
    there = pair.stands()
    words = (there.enter(there.devices[1]), sys.executable, "-c", LISTEN)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        done = pair.on(0, ASK)
        assert done.returncode == 0, done.stderr
        server.wait(timeout=LIMIT)
    return float(done.stdout)


def test_up_use_and_down(pair: Place) -> None:
    made = pair.mpiedge("up", str(pair.path))
    assert made.returncode == 0, made.stderr
    token = pair.stands().token
    assert len(left(token)) >= 3
    assert "box-1 10.77.0.11: 0.50 cores, 96 MiB, 100.0 Mb/s" in made.stdout
    again = pair.mpiedge("up", str(pair.path))
    assert again.returncode == 2
    assert f"the name {pair.cluster} is in use" in again.stderr
    said = pair.on(1, "import os, socket; print(socket.gethostname(), os.environ['TMPDIR'])")
    assert said.stdout.split() == ["box-1", str(pair.stands().scratch / "box-1")]
    assert float(pair.on(0, BUSY).stdout) < 0.7  # of a second: half a core
    down = pair.mpiedge("down", pair.cluster)
    assert down.stdout == f"{pair.cluster} is down\n"
    assert left(token) == []


def test_faults_happen(pair: Place) -> None:
    assert pair.mpiedge("up", str(pair.path)).returncode == 0
    there = pair.stands()
    at = there.group_of(there.devices[1])
    script = "import time; x = b'1' * 2**24; time.sleep(60)"
    words = (there.enter(there.devices[1]), sys.executable, "-c", script)
    with subprocess.Popen(words) as sleeper:
        until(lambda: len(groups.processes(at)) == 1)
        assert pair.mpiedge("fault", "kill", "box-1", "--cluster", pair.cluster).returncode == 0
        assert sleeper.wait(timeout=LIMIT) == -signal.SIGKILL
    assert "box-1 does not answer" in pair.on(1, "").stderr
    assert pair.mpiedge("fault", "mend", "box-1", "--cluster", pair.cluster).returncode == 0
    assert ask(pair) < LIMIT
    small = (there.enter(there.devices[1]), sys.executable, "-c", "import time; time.sleep(9)")
    with subprocess.Popen(words) as sleeper, subprocess.Popen(small) as bystander:
        until(lambda: len(groups.processes(at)) == 2)
        filled = pair.mpiedge("fault", "fill", "box-1", "--cluster", pair.cluster)
        assert filled.returncode == 0
        assert "nothing was killed" not in filled.stderr
        assert sleeper.wait(timeout=LIMIT) == -signal.SIGKILL
        assert bystander.poll() is None
        bystander.kill()
    assert groups.kills(at) in (1, 2)  # the second is what took the memory; see filling
    log = [json.loads(line)["fault"] for line in there.events.read_text().splitlines()]
    assert log == ["kill", "mend", "fill"]


@pytest.mark.parametrize(
    ("more", "least"), [("rate = 1\n", 0.5), ("rate = 100\ndelay = 200\n", 0.8)]
)
def test_links_have_their_rate_and_their_delay(tmp_path: Path, more: str, least: float) -> None:
    with place(tmp_path, SMALL.replace("rate = 100\n", more)) as pair:
        made = pair.mpiedge("up", str(pair.path))
        assert made.returncode == 0, made.stderr
        token = pair.stands().token
        # 100 kB at 1 Mb/s, less what may pass at once; or there and back again, twice
        assert ask(pair) >= least
        assert pair.mpiedge("down", pair.cluster).returncode == 0
        assert left(token) == []


def test_a_job_runs_over_the_devices(pair: Place, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ("run", str(pair.path), "--report", str(report), "--", "python", "-c", HELLO)
    done = pair.mpiedge(*words)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["0 box-0 box-1", "1 box-0 box-1"]
    devices = json.loads(report.read_text())["devices"]
    assert all(device["sent_bytes"] > 1000 for device in devices)
    assert all(device["peak_memory_bytes"] > 2**20 for device in devices)
    assert not (standing.ROOT / pair.cluster).exists()


def test_a_device_without_memory_ends_the_job_and_is_named(pair: Place) -> None:
    done = pair.mpiedge("run", str(pair.path), "--", "python", "-c", GREEDY)
    assert done.returncode not in (0, 2), done.stderr
    assert "mpiedge: box-1 ran out of memory: the kernel killed a process there" in done.stderr
    assert not (standing.ROOT / pair.cluster).exists()


def started(pair: Place) -> "subprocess.Popen[str]":
    """A job that runs until it is ended."""
    process = pair.start("run", str(pair.path), "--", "python", "-c", WAIT)
    assert process.stdout is not None
    assert "box-0 box-1" in process.stdout.readline()
    return process


def test_a_signal_ends_the_job_and_the_testbed(pair: Place) -> None:
    with started(pair) as process:
        token = pair.stands().token
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=LIMIT) == 128 + signal.SIGTERM
        assert left(token) == []


def test_a_killed_command_leaves_nothing(pair: Place) -> None:
    with started(pair) as process:
        token = pair.stands().token
        process.kill()
        until(lambda: left(token) == [])


def test_what_is_left_of_a_killed_command_goes_with_the_next_down(pair: Place) -> None:
    with started(pair) as process:
        there = pair.stands()
        guard = _guard(there.token)
        os.kill(guard, signal.SIGKILL)
        process.kill()
        process.wait()
        assert left(there.token)
        assert "is left of a killed command" in pair.mpiedge("status").stdout
        assert f"{pair.cluster} is down" in pair.mpiedge("down").stdout
        assert left(there.token) == []


def _guard(token: str) -> int:
    """The process that watches over a testbed's command."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().split(b"\0")
        if b"mpiedge.testbed.guard" in words and token.encode() in words:
            return int(path.parent.name)
    raise AssertionError("nobody watches")
