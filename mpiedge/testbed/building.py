"""Builds a testbed.

Its description is written first and names every part, so that whatever happens meanwhile, what
was made can be found and taken away.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mpiedge.errors import BadInput
from mpiedge.testbed import groups, machine, network, scripts, shell
from mpiedge.testbed.cluster import Cluster
from mpiedge.testbed.findings import check
from mpiedge.testbed.names import drawn
from mpiedge.testbed.network import Wiring
from mpiedge.testbed.removing import leftover, remove
from mpiedge.testbed.scaling import scaled
from mpiedge.testbed.standing import ROOT, Standing, claim, load, myself

PATIENCE = 20.0  # seconds for the switch's program to start


def described(cluster: Cluster, root: Path = ROOT) -> Standing:
    """The testbed that a cluster would have on this machine, as this command's own.

    Raises BadInput where it cannot have one.  Nothing is made yet.
    """
    devices = scaled(cluster)
    here = machine.look(trial=True)
    check(here, cluster.name, devices)
    assert here.trees is not None, "checked"
    return Standing(
        cluster=cluster.name,
        token=drawn().token,
        devices=devices,
        wiring=network.wiring(devices, netem="netem" not in here.lacks),
        trees=here.trees,
        owner=myself(),
        root=root,
    )


def take(standing: Standing) -> None:
    """Take a cluster's name for a testbed; raises BadInput if it is in use.

    What commands that were killed have left of earlier testbeds is taken away first.
    """
    for old in leftover(standing.root):
        remove(old)
    try:
        claim(standing)
    except FileExistsError:
        raise BadInput(_in_use(standing.folder)) from None
    except OSError as error:
        raise BadInput(f"{standing.root} cannot be written: {error.strerror}") from None


def build(standing: Standing) -> None:
    """Make everything that a testbed's description says; raises BadInput."""
    _files(standing)
    _groups(standing)
    names, devices = standing.names, standing.devices
    shell.run(network.namespaces(names, devices))
    if standing.wiring is Wiring.SWITCHED:
        _start_switch(standing)
    else:
        shell.run(network.bridge(names))
    lay = network.plug if standing.wiring is Wiring.SWITCHED else network.cable
    for device in devices:
        shell.run(lay(names, device))
        shell.run(network.shape(names, device, standing.wiring))
        shell.run(network.address(names, device))


def _in_use(folder: Path) -> str:
    other = load(folder)
    owner = other.owner if other else None
    by = f" by the command with the number {owner.pid}" if owner else ""
    return (
        f"the name {folder.name} is in use: a testbed of that cluster stands already, made{by}; "
        f"take it down with 'mpiedge testbed down {folder.name}'"
    )


def _files(standing: Standing) -> None:
    folder = standing.folder
    (folder / "hosts").write_text(scripts.hosts(standing.devices), encoding="ascii")
    _program(folder / "agent", scripts.agent(folder))
    for device in standing.devices:
        scratch = standing.scratch / device.name
        scratch.mkdir(parents=True)
        at = standing.group_of(device)
        text = scripts.enter(device, standing.names, at, folder=folder, scratch=scratch)
        _program(Path(standing.enter(device)), text)


def _program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _groups(standing: Standing) -> None:
    try:
        _make(standing.group.folders)
        groups.write(groups.share(standing.group))
        for device in standing.devices:
            at = standing.group_of(device)
            _make(at.folders)
            groups.write(groups.limits(at, device))
            path, value = groups.without_swap(at, device)
            if path.exists():
                groups.write([(path, value)])
    except OSError as error:
        raise BadInput(
            f"the control group {error.filename} cannot be written: {error.strerror}; "
            "'mpiedge testbed check' says what this machine lacks"
        ) from None


def _make(folders: Sequence[Path]) -> None:
    for folder in folders:
        folder.mkdir()


def _start_switch(standing: Standing) -> None:
    """Start the program that passes frames on, and wait for its ports."""
    log, ready = standing.folder / "switch.log", standing.folder / "switch-ready"
    inside = ("nsenter", f"--net={scripts.NAMESPACES / standing.names.switch}")
    program = (sys.executable, "-m", "mpiedge.testbed.switch", str(standing.folder))
    with log.open("wb") as errors:
        process = subprocess.Popen(
            (*inside, *program),
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    deadline = time.monotonic() + PATIENCE
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8").strip().splitlines()
            raise BadInput(f"the switch did not start: {said[-1] if said else 'it said nothing'}")
        time.sleep(0.02)
