"""What is wrong with machines that were asked, and how to mend it.

Pure: from answers to lines, so that every illness can be tested without having it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mpiedge.hosts import networks
from mpiedge.hosts.asking import Answer

LITTLE_DISK, LITTLE_MEMORY = 2**30, 2**29  # bytes
_OLDEST = (3, 10)  # Python
LATE = 5.0  # seconds between clocks, at which the times of files and logs mislead
_NEEDED = ("mpiedge", "torch", "transformers", "mpi4py")
_GIB = 2**30


class Verdict(NamedTuple):
    """One machine."""

    name: str
    line: str  # what it is
    problems: tuple[str, ...]  # each with its mend
    network: str = ""  # interface and address by which it reaches others; empty: there is none
    notes: tuple[str, ...] = ()  # good to know


def verdicts(answers: Sequence[Answer], version: str) -> tuple[Verdict, ...]:
    """One for each machine, which should have this ``version`` of mpiedge."""
    known = {each.name: networks.read(each.facts["networks"]) for each in answers if each.facts}
    places, apart = networks.shared(known), networks.apart(known)
    bridges = networks.bridges(known)
    found = []
    for answer in answers:
        verdict, name = _verdict(answer, version), answer.name
        if name in places:
            verdict = verdict._replace(
                line=f"{verdict.line}, {places[name]}", network=str(places[name])
            )
        lost = tuple(_lost(each) for each in [apart.get(name, ())] if each)
        notes = tuple(map(_bridge, bridges.get(name, ())))
        found.append(verdict._replace(problems=verdict.problems + lost, notes=notes))
    return tuple(found)


def _lost(others: Sequence[str]) -> str:
    return (
        f"it has no network in common with {', '.join(others)}: connect all machines to one; where "
        f"a router leads there, name the network with launch --interface"
    )


def _bridge(place: networks.Place) -> str:
    return (
        f"{place} is an address of other machines, too (a Jetson's USB bridge?); launch leaves it "
        f"out"
    )


def _verdict(answer: Answer, version: str) -> Verdict:
    if not answer.facts:
        mend = f"try: ssh {answer.name} true; it has to work without a password"
        return Verdict(answer.name, "does not answer", (f"{answer.trouble}; {mend}",))
    facts, versions = answer.facts, answer.facts["versions"]
    line = (
        f"Python {facts['python']}, mpiedge {versions.get('mpiedge') or 'missing'}, torch "
        f"{versions.get('torch') or 'missing'}, {facts['memory'] / _GIB:.1f} GiB of memory and "
        f"{facts['disk'] / _GIB:.1f} GiB of disk free"
    )
    return Verdict(answer.name, line, tuple(_problems(answer, version)))


def _missing(versions: Mapping[str, str]) -> list[str]:
    return [name for name in _NEEDED if not versions.get(name)]


def _mend(name: str, pip: str) -> str:
    """A board's maker may have a torch of its own, which knows the GPU."""
    return "on a Jetson NVIDIA's own, else " * (name == "torch") + f"{pip} {name}"


def _problems(answer: Answer, version: str) -> list[str]:
    facts = answer.facts
    versions, pip = facts["versions"], f"{facts['program']} -m pip install"
    found = [f"{name} is not installed: {_mend(name, pip)}" for name in _missing(versions)]
    if tuple(map(int, facts["python"].split(".")[:2])) < _OLDEST:
        found.append(
            f"Python {facts['python']} is older than 3.10: install 3.10 or newer, and mpiedge in it"
        )
    if versions.get("mpiedge", "") not in ("", version):
        found.append(
            f"mpiedge is {versions['mpiedge']}, and here it is {version}: install one version "
            f"everywhere"
        )
    found += [f"{path} is not there: copy it to that place" for path in facts["missing"]]
    if abs(answer.offset) > LATE:
        way = "ahead" if answer.offset > 0 else "behind"
        found.append(f"its clock is {abs(answer.offset):.0f} s {way}: timedatectl set-ntp true")
    if facts["disk"] < LITTLE_DISK:
        found.append("less than 1 GiB of disk is free: remove something, or set cache.folder")
    if 0 < facts["memory"] < LITTLE_MEMORY:
        found.append("less than 0.5 GiB of memory is free: end other programs, or add swap")
    return found
