"""Whether a cluster profile that was measured before still holds.

It does for the same model, examples of the same lengths, hosts and version of mpiedge, for some
days: devices get other power modes and disks fill, which nothing in a file tells.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from mpiedge.comm.values import decided
from mpiedge.config import parsed
from mpiedge.errors import BadInput
from mpiedge.run.measuring import Size
from mpiedge.run.opening import Opened
from mpiedge.run.profiling import model_of
from mpiedge.version import VERSION


def why_measure(opened: Opened, timed: Sequence[Size], path: Path, days: int) -> str:
    """Why the profile in a file cannot be used again, as rank 0 finds; empty: it can.

    Called by all ranks.  It has to be younger than ``days``.
    """
    about, hosts = model_of(opened, timed), [host.name for host in opened.hosts]

    def look() -> str:
        if not path.exists():
            return "there is none"
        try:
            return stale(parsed(path, "cluster profile"), about, hosts, days)
        except BadInput:
            return "it cannot be read"

    found: str = decided(opened.transport, look)
    return found


def stale(
    values: Mapping[str, Any], about: Mapping[str, Any], hosts: Sequence[str], days: int
) -> str:
    """Why a profile's values are not of ``about`` on ``hosts`` today; empty: they are."""
    made, model = values.get("made", {}), values.get("model", {})
    if made.get("version") != VERSION:
        return f"it is of version {made.get('version')}, and this is {VERSION}"
    try:
        old = (date.today() - date.fromisoformat(made["day"])).days
    except (KeyError, TypeError, ValueError):
        old = days
    if not 0 <= old < days:
        return f"it is {old} days old"
    for name, here in about.items():
        if model.get(name) != here:
            return f"it is of a model with {name} {model.get(name)}, and the run has {here}"
    was = [device.get("host") for device in values.get("device", ())]
    if was != list(hosts):
        return f"it is of hosts {', '.join(map(str, was))}, and the run has {', '.join(hosts)}"
    return ""
