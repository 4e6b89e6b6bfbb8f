"""What a machine says of itself: a program that needs nothing there but a Python.

It is sent over ssh and read from the standard input, so that it works where mpiedge is not, or is
an older one.  Its arguments are the paths to look for; it prints one line of JSON.
"""

import contextlib
import fcntl
import json
import os
import platform
import shutil
import socket
import struct
import sys
import time
from importlib import metadata

PACKAGES = ("mpiedge", "torch", "transformers", "mpi4py")
KEYS = ("host", "python", "program", "versions", "missing", "time", "memory", "disk", "networks")
_ADDRESS, _MASK = 0x8915, 0x891B  # SIOCGIFADDR, SIOCGIFNETMASK of Linux


def version(name: str) -> str:
    """The version of a package; empty: it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _here() if name == "mpiedge" else ""


def _here() -> str:
    """The version of an mpiedge that is only on the path."""
    try:
        from mpiedge.version import VERSION  # noqa: PLC0415 - it may not be there
    except ImportError:
        return ""
    return VERSION


def free_memory() -> int:
    """Bytes that programs can have; 0: not known."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123 - as little as can be
            rows = dict(line.split(":") for line in file)
        return 1024 * int(rows["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return 0


def networks() -> "list[tuple[str, str, str]]":
    """Interfaces with an IPv4 address: name, address, mask."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):  # it has none
                address = fcntl.ioctl(asked, _ADDRESS, request)[20:24]
                mask = fcntl.ioctl(asked, _MASK, request)[20:24]
                found.append((name, socket.inet_ntoa(address), socket.inet_ntoa(mask)))
    return found


def facts(paths: "list[str]") -> "dict[str, object]":
    """All of it."""
    return {
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "program": sys.executable,
        "versions": {name: version(name) for name in PACKAGES},
        "missing": [path for path in paths if not os.path.exists(path)],  # noqa: PTH110
        "time": time.time(),
        "memory": free_memory(),
        "networks": networks(),
        "disk": shutil.disk_usage(os.path.expanduser("~")).free,  # noqa: PTH111
    }


if __name__ == "__main__":
    print(json.dumps(facts(sys.argv[1:])))
