"""Which hosts answer, how they are asked, and what is ended there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mpiedge.launch import probe
from mpiedge.launch.command import Job
from mpiedge.launch.hostfile import Host
from mpiedge.launch.sweep import VARIABLE, main, sweep

JOB = Job(program=("/a/python", "-m", "mpiedge", "train"), ranks=2)
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def agent(tmp_path: Path) -> tuple[str, ...]:
    """Runs the command here; the host 'off' refuses and 'frozen' never answers."""
    script = tmp_path / "agent"
    cases = 'case "$2" in off) exit 255;; frozen) exec sleep 60;; esac\n'
    script.write_text(f'#!/bin/sh\n{cases}shift 2\nexec sh -c "$*"\n', encoding="ascii")
    script.chmod(0o755)
    return (str(script), "-x")


def test_hosts_that_do_not_answer_are_found_at_once(agent: tuple[str, ...]) -> None:
    hosts = [Host(name, 1) for name in ("on", "off", "frozen", "also-on")]
    began = time.monotonic()
    assert probe.answering(hosts, agent, "true", patience=2.0) == {"on", "also-on"}
    assert time.monotonic() - began < 30
    assert probe.answering(hosts, agent, "false", patience=2.0) == frozenset()
    assert probe.answering([], agent, "true") == frozenset()


def test_an_agent_that_is_not_there_is_no_answer() -> None:
    assert probe.answering([Host("on", 1)], ("/no/agent",), "true") == frozenset()


def test_the_agent_is_mpiruns() -> None:
    assert probe.agent(JOB, {})[0] == "ssh"
    assert probe.agent(JOB, {"PRTE_MCA_plm_ssh_agent": "rsh -q"}) == ("rsh", "-q")
    chosen = Job(JOB.program, 2, mca=(("plm_ssh_agent", "mine"),))
    assert probe.agent(chosen, {"PRTE_MCA_plm_ssh_agent": "rsh -q"}) == ("mine",)


def test_the_question_can_pass_through_a_shell() -> None:
    assert probe.question(JOB, "x1", {}) == "/a/python -m mpiedge.launch.sweep x1"
    asked = probe.question(JOB, "x1", {"PYTHONPATH": "/my code"})
    assert asked.startswith("env 'PYTHONPATH=/my code' /a/python ")


def test_only_the_jobs_own_processes_are_ended() -> None:
    names = [f"job-{os.getpid()}-{i}" for i in range(2)]
    both = [subprocess.Popen(SLEEP, env={**os.environ, VARIABLE: name}) for name in names]
    try:
        assert sweep(names[0]) == 1
        assert both[0].wait(timeout=20) == -9
        assert both[1].poll() is None
        assert main([names[1]]) == 0
        assert both[1].wait(timeout=20) == -9
    finally:
        for each in both:
            each.kill()
            each.wait()
