"""``python -m mpiedge.testbed.switch FOLDER``: passes frames between the devices of a testbed.

For kernels that cannot delay packets (no netem).  Each device's ``eth0`` is a TAP, whose other end
is held here.  Frames are as large as TCP makes them, so that Python keeps up with some hundred
Mb/s; a testbed without delays does not need it.
"""

import contextlib
import fcntl
import os
import select
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from mpiedge.testbed.frames import HEADER, Line, Switch
from mpiedge.testbed.standing import load

# From Linux' if_tun.h.
TUNSETIFF = 0x400454CA
TUNSETOFFLOAD = 0x400454D0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02

LARGEST = HEADER + 65536 + 64  # bytes of a frame with its headers
AT_ONCE = 8  # frames of a port before the others have their turn
BUSY = 0.002  # seconds after which a port that was full is looked at again
IDLE = 1.0


def main(arguments: Sequence[str]) -> int:
    """Make the ports of the testbed in a folder and pass their frames on until it is killed."""
    folder = Path(arguments[0])
    standing = load(folder)
    if standing is None:
        return 2
    ports = [tap(f"p{device.number}") for device in standing.devices]
    lines = [Line(device.rate / 8, device.delay) for device in standing.devices]
    (folder / "switch-ready").touch()
    serve(ports, Switch(lines))
    return 0


def tap(name: str) -> int:
    """A network interface whose frames are read and written here; its file descriptor."""
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
    fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(port, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    return port


def serve(ports: Sequence[int], switch: Switch) -> None:
    """Pass frames on for ever."""
    number = {port: index for index, port in enumerate(ports)}
    while True:
        now = time.perf_counter()
        for index, frame in switch.due(now):
            with contextlib.suppress(OSError):  # a device that is cut off does not take it
                os.write(ports[index], frame)
        open_ports = [port for port in ports if switch.accepts(number[port], now)]
        rest = BUSY if len(open_ports) < len(ports) else IDLE
        due = switch.next_due()
        wait = rest if due is None else max(0.0, min(rest, due - time.perf_counter()))
        for port in select.select(open_ports, [], [], wait)[0]:
            _drain(port, number[port], switch)


def _drain(port: int, index: int, switch: Switch) -> None:
    for _ in range(AT_ONCE):
        try:
            frame = os.read(port, LARGEST)
        except OSError:  # nothing more, or a device that is cut off
            return
        now = time.perf_counter()
        switch.take(frame, index, now)
        if not switch.accepts(index, now):
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
