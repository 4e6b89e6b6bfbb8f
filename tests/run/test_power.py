"""Sensors are found in a tree as Linux shows them."""

from pathlib import Path

import pytest

from mpiedge.run.energy import Meter
from mpiedge.run.power import Sensor, sensors

ORIN = {
    "class/hwmon/hwmon0/name": "tmp451",
    "class/hwmon/hwmon4/name": "ina3221",
    "class/hwmon/hwmon4/in1_label": "VDD_IN",
    "class/hwmon/hwmon4/in1_input": "5000",
    "class/hwmon/hwmon4/curr1_input": "1400",
    "class/hwmon/hwmon4/in2_label": "VDD_CPU_GPU_CV",
    "class/hwmon/hwmon4/in2_input": "5000",
    "class/hwmon/hwmon4/curr2_input": "700",
}
AGX = {
    "class/hwmon/hwmon3/name": "ina3221",
    "class/hwmon/hwmon3/in1_label": "VDD_GPU_SOC",
    "class/hwmon/hwmon3/in1_input": "19000",
    "class/hwmon/hwmon3/curr1_input": "200",
    "class/hwmon/hwmon3/in2_label": "NC",
    "class/hwmon/hwmon3/in2_input": "0",
    "class/hwmon/hwmon3/curr2_input": "0",
    "class/hwmon/hwmon3/in7_label": "sum of shunt voltages",
    "class/hwmon/hwmon3/in7_input": "3",
    "class/hwmon/hwmon4/name": "ina3221",
    "class/hwmon/hwmon4/in1_label": "VIN_SYS_5V0",
    "class/hwmon/hwmon4/in1_input": "5000",
    "class/hwmon/hwmon4/curr1_input": "1000",
}
NANO = {
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN",
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": "3250",
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU",
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": "100",
}
DESK = {
    "class/powercap/intel-rapl:0/name": "package-0",
    "class/powercap/intel-rapl:0/energy_uj": "2500000",
    "class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
    "class/powercap/intel-rapl:0:0/name": "core",
    "class/powercap/intel-rapl:0:0/energy_uj": "1500000",
    "class/powercap/intel-rapl:1/name": "package-1",
    "class/powercap/intel-rapl:1/energy_uj": "1000000",
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n", encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (ORIN, [("INA3221 VDD_IN", 7.0, 0.0)]),
        (AGX, [("INA3221 VDD_GPU_SOC", 3.8, 0.0), ("INA3221 VIN_SYS_5V0", 5.0, 0.0)]),
        (NANO, [("INA3221 POM_5V_IN", 3.25, 0.0)]),
        (DESK, [("RAPL package-0", 2.5, 262143.32885), ("RAPL package-1", 1.0, 4294.967296)]),
        ({**DESK, **ORIN}, [("INA3221 VDD_IN", 7.0, 0.0)]),
        ({"class/hwmon/hwmon0/name": "ina3221", "class/hwmon/hwmon0/in1_label": "VDD_IN"}, []),
        ({**NANO, "bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": "?"}, []),
        ({}, []),
    ],
    ids=["orin", "agx", "nano", "desk", "best", "no current", "unreadable", "nothing"],
)
def test_each_kind(
    files: dict[str, str], found: list[tuple[str, float, float]], tmp_path: Path
) -> None:
    told = [(each.what, each.read(), each.counter) for each in sensors(tree(tmp_path, files))]
    assert told == [(what, pytest.approx(value), end) for what, value, end in found]


class Clock:
    """A clock on the wall, and what sensors say at that time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.watts, self.joules = 2.0, 90.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr("mpiedge.run.energy.EVERY", 3600.0)  # only what a test looks at
    return Clock()


def test_power_is_added_up_over_time(clock: Clock) -> None:
    with Meter([Sensor("chip", lambda: clock.watts)], clock) as meter:
        clock.now, clock.watts = 10.0, 4.0
        assert meter.joules() == pytest.approx(30.0)
        clock.now = 15.0
        assert meter.joules() == pytest.approx(50.0)
        assert meter.what == "chip"


def test_a_counter_may_start_again(clock: Clock) -> None:
    with Meter([Sensor("package", lambda: clock.joules, 100.0)], clock) as meter:
        for at, total in ((95.0, 5.0), (3.0, 13.0)):
            clock.joules = at
            assert meter.joules() == pytest.approx(total)


def test_a_sensor_that_fails_counts_as_before(clock: Clock) -> None:
    def read() -> float:
        if clock.now > 5:
            raise OSError
        return clock.watts

    with Meter([Sensor("chip", read)], clock) as meter:
        clock.now = 10.0
        assert meter.joules() == pytest.approx(20.0)


def test_without_sensors_there_is_nothing() -> None:
    with Meter([]) as meter:
        assert meter.what == ""


def test_it_looks_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpiedge.run.energy.EVERY", 0.001)
    seen: list[int] = []
    with Meter([Sensor("chip", lambda: float(len(seen) or seen.append(1) or 1.0))]) as meter:
        while meter._total == 0:
            pass
    assert not meter._thread.is_alive()
