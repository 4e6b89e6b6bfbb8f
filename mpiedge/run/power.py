"""The sensors of a machine that tell what it draws, where Linux shows them without root or tools.

    Jetson (JetPack 5, 6)   INA3221 on the board, hwmon: millivolts times milliamperes of its rails
    Jetson (JetPack 4)      the same chip by its older driver: milliwatts
    x86                     RAPL, powercap: microjoules of each package, not of the board

Some Jetsons have a rail in front of all others, which is then the only one that counts; on the
larger ones (Xavier, AGX Orin) the rails add up.  Our design; tegrastats reads the same files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_WHOLE = ("VDD_IN", "POM_5V_IN", "5V_IN")  # rails in front of everything else


class Sensor(NamedTuple):
    """Where power is read, and how."""

    what: str
    read: Callable[[], float]  # watts now, or of a counter joules so far
    counter: float = 0.0  # joules at which it starts again; 0: it is no counter


def sensors(root: Path = Path("/sys")) -> tuple[Sensor, ...]:
    """Those that can be read, of the best kind there is; none: this machine has no such sensor."""
    for kind in (_hwmon, _iio, _rapl):
        found = tuple(sensor for sensor in kind(root) if _works(sensor))
        if found:
            return found
    return ()


def _hwmon(root: Path) -> list[Sensor]:
    found = []
    for label in sorted(root.glob("class/hwmon/hwmon*/in*_label")):
        number = label.name[2 : -len("_label")]
        volts = label.with_name(f"in{number}_input")
        amperes = label.with_name(f"curr{number}_input")
        # A fourth input, of no current, is the sum of the others' shunt voltages.
        if _text(label.with_name("name")) == "ina3221" and volts.exists() and amperes.exists():
            found.append(Sensor(f"INA3221 {_text(label)}", _product(volts, amperes)))
    return _whole(found)


def _iio(root: Path) -> list[Sensor]:
    found = []
    for name in sorted(root.glob("bus/i2c/drivers/ina3221x/*/iio:device*/rail_name_*")):
        power = name.with_name(f"in_power{name.name[len('rail_name_') :]}_input")
        if power.exists():
            found.append(Sensor(f"INA3221 {_text(name)}", _scaled(power, 1e-3)))
    return _whole(found)


def _whole(rails: list[Sensor]) -> list[Sensor]:
    """The rail in front of all others, or where there is none all that are connected."""
    front = [rail for rail in rails if rail.what.split(" ", 1)[1] in _WHOLE]
    return front[:1] or [rail for rail in rails if not rail.what.endswith(" NC")]


def _rapl(root: Path) -> list[Sensor]:
    found = []
    for energy in sorted(root.glob("class/powercap/intel-rapl:[0-9]*/energy_uj")):
        zone = energy.parent
        if zone.name.count(":") == 1:  # a package; its parts have one more
            end = float(_text(zone / "max_energy_range_uj") or 2**32) * 1e-6
            found.append(Sensor(f"RAPL {_text(zone / 'name')}", _scaled(energy, 1e-6), end))
    return found


def _works(sensor: Sensor) -> bool:
    try:
        return sensor.read() >= 0
    except (OSError, ValueError):  # root's alone, or of another form
        return False


def _product(volts: Path, amperes: Path) -> Callable[[], float]:
    return lambda: _number(volts) * _number(amperes) * 1e-6


def _scaled(path: Path, factor: float) -> Callable[[], float]:
    return lambda: _number(path) * factor


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> float:
    return float(path.read_text(encoding="ascii", errors="replace"))
