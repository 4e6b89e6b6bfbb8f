"""How a process gets onto a device, as the text of three files.

mpirun reaches other hosts by a program that it calls as it would call ssh.  Here that is a shell
script, and so is what it calls, since both start once for every device of every run: a Python
would take seconds on a quarter of a core.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from mpiedge.testbed.groups import Trees
from mpiedge.testbed.names import Names
from mpiedge.testbed.scaling import Device

NAMESPACES = Path("/run/netns")  # where ip keeps them

# In the device's mount namespace: its own /etc/hosts, and a host name that only it has.
_INSIDE = (
    'mount --bind "$0" /etc/hosts && echo "$1" > /proc/sys/kernel/hostname && shift && exec "$@"'
)

_ENTER = """#!/bin/sh
# Runs a command on the device {device}.
if [ -e {dead} ]; then
    echo {device} does not answer >&2
    exit 255
fi
{join}
export TMPDIR={scratch}
export OMP_NUM_THREADS="${{OMP_NUM_THREADS:-{threads}}}"
exec nsenter --net={namespace} unshare --uts --mount /bin/sh -c {inside} {hosts} {device} "$@"
"""

# A login by ssh brings nothing of the caller's environment.  And ssh does not notice that the
# other end has lost its power or its cable: it waits until it is killed.  What the shell itself
# would say of a command that was killed is not for the user.
_AGENT = """#!/bin/sh
# Called by mpirun in place of ssh: agent [-OPTION]... DEVICE COMMAND...
while [ "${{1#-}}" != "$1" ]; do shift; done
device="${{1#*@}}"
shift
for end in "$device" "$(cat /proc/sys/kernel/hostname)"; do
    if [ -e {folder}/cut-"$end" ]; then
        echo "$device" does not answer, the cable of "$end" is out >&2
        exit 255
    fi
done
exec 3>&2 2>/dev/null
(
    exec env -i HOME="$HOME" USER=root PATH={path} \
        {folder}/enter-"$device" /bin/sh -c "$*" 2>&3
)
code=$?
while [ -e {folder}/dead-"$device" ] || [ -e {folder}/cut-"$device" ]; do sleep 1; done
exit $code
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def enter(device: Device, names: Names, at: Trees, *, folder: Path, scratch: Path) -> str:
    """The script that runs a command on a device; ``at`` is the device's group."""
    joins = (f"echo $$ > {_quoted(each / 'cgroup.procs')} || exit 255" for each in at.folders)
    return _ENTER.format(
        device=device.name,
        dead=_quoted(dead(folder, device.name)),
        join="\n".join(joins),
        scratch=_quoted(scratch),
        threads=device.threads,
        namespace=_quoted(NAMESPACES / names.namespace(device.name)),
        inside=shlex.quote(_INSIDE),
        hosts=_quoted(folder / "hosts"),
    )


def agent(folder: Path) -> str:
    """The script that mpirun calls in place of ssh."""
    return _AGENT.format(path=_PATH, folder=_quoted(folder))


def hosts(devices: Sequence[Device]) -> str:
    """The devices' /etc/hosts."""
    known = (f"{device.address} {device.name}" for device in devices)
    return "\n".join(["127.0.0.1 localhost", *known, ""])


def dead(folder: Path, device: str) -> Path:
    """The file that is there while a device has no power."""
    return folder / f"dead-{device}"


def cut(folder: Path, device: str) -> Path:
    """The file that is there while a device's cable is out."""
    return folder / f"cut-{device}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
