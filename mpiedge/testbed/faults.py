"""What goes wrong on demand: a device loses power, its link, its speed or its memory.

Every fault, and its end, is a line in the testbed's log with the time it happened.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from mpiedge.errors import BadInput
from mpiedge.testbed import groups, network, scripts, shell
from mpiedge.testbed.removing import ROUNDS, kill_all
from mpiedge.testbed.scaling import LEAST_CORES, Device
from mpiedge.testbed.standing import Standing

HOLD = 60.0  # seconds that filling a memory may take


class Kind(str, Enum):
    """What can go wrong."""

    KILL = "kill"  # no power: everything there is gone, and nobody answers
    CUT = "cut"  # the cable is pulled: everything there goes on
    SLOW = "slow"  # fewer of the processor's cycles
    FILL = "fill"  # another program takes the memory
    MEND = "mend"  # power, cable and speed are back


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong on a device, for some seconds or until it is mended."""

    kind: Kind
    seconds: float | None = None
    factor: float = 1.0  # how many times slower


def checked(fault: Fault, device: Device) -> Fault:
    """A fault that can happen to a device; raises BadInput."""
    if fault.seconds is not None and not fault.seconds > 0:
        raise BadInput(f"--for {fault.seconds:g} has to be above 0 seconds")
    if fault.kind is Kind.MEND and fault.seconds is not None:
        raise BadInput("--for says when a fault is mended; 'mend' does it now, leave it out")
    if (fault.kind is Kind.SLOW) != (fault.factor != 1.0):
        raise BadInput(
            "--factor says how many times slower: 'slow' needs one above 1, and no other fault "
            f"takes it; {fault.kind.value} was given {fault.factor:g}"
        )
    least = device.cores / fault.factor
    if fault.factor < 1 or least < LEAST_CORES:
        raise BadInput(
            f"--factor {fault.factor:g} would leave {device.name} {least:.3f} of a core; it has "
            f"{device.cores:.3f}, and from {LEAST_CORES} to that is possible"
        )
    return fault


def happen(standing: Standing, device: Device, fault: Fault) -> None:
    """Let a fault happen, and mend it after its time; it is mended too when this is interrupted."""
    with _timed(standing, device, fault):
        if fault.kind is Kind.KILL:
            _power_off(standing, device)
        elif fault.kind is Kind.CUT:
            scripts.cut(standing.folder, device.name).touch()
            shell.run([network.connect(standing.names, device, standing.wiring, on=False)])
        elif fault.kind is Kind.SLOW:
            at = standing.group_of(device)
            groups.write(groups.processor(at, device.cores / fault.factor))
        elif fault.kind is Kind.FILL:
            _fill(standing, device, fault.seconds or HOLD)
        else:
            mend(standing, device)


def mend(standing: Standing, device: Device) -> None:
    """Give a device its power, its link and its speed back."""
    for mark in (scripts.dead, scripts.cut):
        mark(standing.folder, device.name).unlink(missing_ok=True)
    groups.write(groups.processor(standing.group_of(device), device.cores))
    shell.run([network.connect(standing.names, device, standing.wiring, on=True)])


def said(event: dict[str, Any]) -> str:
    """A line of the log, as a sentence."""
    when = datetime.fromtimestamp(event["time"], timezone.utc).isoformat(timespec="milliseconds")
    extent = f" for {event['seconds']:g} s" if event["seconds"] else ""
    factor = f" {event['factor']:g} times" if event["factor"] != 1.0 else ""
    return f"{when} fault on {event['device']}: {event['fault']}{factor}{extent}"


@contextlib.contextmanager
def _timed(standing: Standing, device: Device, fault: Fault) -> Iterator[None]:
    _log(standing, device, fault)
    yield
    if fault.seconds is None or fault.kind is Kind.FILL:
        return
    try:
        time.sleep(fault.seconds)
    finally:
        if standing.folder.exists():  # else the testbed was taken down meanwhile
            _log(standing, device, Fault(Kind.MEND))
            mend(standing, device)


def _log(standing: Standing, device: Device, fault: Fault) -> None:
    event = {
        "time": time.time(),
        "device": device.name,
        "fault": fault.kind.value,
        "seconds": fault.seconds,
        "factor": fault.factor,
    }
    with standing.events.open("a", encoding="utf-8") as log:
        log.write(json.dumps(event) + "\n")
    print(said(event), file=sys.stderr)


def _power_off(standing: Standing, device: Device) -> None:
    """The cable first: a machine without power does not say that its connections are closed."""
    scripts.dead(standing.folder, device.name).touch()
    shell.run([network.connect(standing.names, device, standing.wiring, on=False)])
    at = standing.group_of(device)
    for _ in range(ROUNDS):
        left = groups.processes(at)
        if not left:
            return
        kill_all(left)
        time.sleep(0.01)


def _fill(standing: Standing, device: Device, seconds: float) -> None:
    """Take the device's memory until something there is killed for it."""
    at = standing.group_of(device)
    program = (sys.executable, "-m", "mpiedge.testbed.filling")
    about = (str(at.version), str(at.memory), str(seconds))
    done = subprocess.run((standing.enter(device), *program, *about), check=False)
    if done.returncode == 1:  # when it is killed itself, then after something else
        print(f"mpiedge: nothing was killed on {device.name} in {seconds:g} s", file=sys.stderr)
