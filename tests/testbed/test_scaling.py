"""The scaling rule."""

from pathlib import Path

import pytest

from mpiedge.errors import BadInput
from mpiedge.testbed.cluster import Cluster, Kind, Scale, read
from mpiedge.testbed.scaling import Device, check_room, scaled

HOSTFILES = Path(__file__).parents[2] / "hostfiles"


def cluster(scale: Scale, **more: float) -> Cluster:
    kind = Kind("box", 2, **{"gflops": 100.0, "memory": 4.0, "rate": 1000.0, **more})
    return Cluster("pair", scale, (kind,))


def test_what_takes_time_takes_as_many_times_longer() -> None:
    scale = Scale(slowdown=10.0, core_gflops=50.0, memory=0.5)
    first, second = scaled(cluster(scale, delay=5.0))
    assert first == Device("box-0", 0, cores=0.2, memory=2**31, rate=1e8, delay=0.05)
    assert (second.name, second.address) == ("box-1", "10.77.0.11")
    seconds_of_work, seconds_of_link = 1 / (first.cores * 50.0), 1 / first.rate
    assert seconds_of_work / seconds_of_link == pytest.approx((1 / 100.0) / (1 / 1e9))


def test_without_a_scale_a_device_is_what_it_says() -> None:
    (box, _) = scaled(cluster(Scale(), gflops=1.5, rate=10.0))
    assert (box.cores, box.memory, box.rate, box.delay) == (1.5, 2**32, 1e7, 0.0)


@pytest.mark.parametrize(("cores", "threads"), [(0.1, 1), (1.0, 1), (1.01, 2), (4.0, 4)])
def test_threads_are_those_that_can_work_at_once(cores: float, threads: int) -> None:
    assert Device("box", 0, cores, 2**30, 1e8, 0.0).threads == threads


@pytest.mark.parametrize(
    ("scale", "more", "complaint"),
    [
        (Scale(slowdown=20000.0), {}, r"0.0050 of a core.*lower scale.slowdown \(20000\)"),
        (Scale(memory=0.001), {}, "4.1 MiB of memory, less than the 16 MiB"),
        (Scale(slowdown=100.0), {"rate": 1.0}, "a link of 10.0 kb/s, less than 100"),
    ],
)
def test_shares_that_nothing_can_run_on(
    scale: Scale, more: dict[str, float], complaint: str
) -> None:
    with pytest.raises(BadInput, match=complaint):
        scaled(cluster(scale, **more))


def test_a_cluster_larger_than_the_machine() -> None:
    devices = scaled(cluster(Scale(slowdown=50.0)))  # two cores and 4 GiB each
    check_room("pair", devices, cores=4, memory=2**33)
    with pytest.raises(BadInput, match=r"8.0 GiB .*the 6.0 GiB .*multiply scale.memory by 0.75"):
        check_room("pair", devices, cores=4, memory=6 * 2**30)
    with pytest.raises(BadInput, match=r"take 4.00 cores .*the 3 .*scale.slowdown by 1.34"):
        check_room("pair", devices, cores=3, memory=2**33)


def test_the_repairs_that_are_proposed_work() -> None:
    scale = Scale(slowdown=50.0)
    for change in (Scale(slowdown=50.0 * 1.34), Scale(slowdown=67.0, memory=0.75)):
        assert sum(device.cores for device in scaled(cluster(change))) <= 3
    assert sum(device.memory for device in scaled(cluster(Scale(memory=0.75)))) <= 6 * 2**30
    assert sum(device.cores for device in scaled(cluster(scale))) > 3


def test_eight_nanos_fill_two_cores() -> None:
    devices = scaled(read(HOSTFILES / "nano-8.toml"))
    assert [round(device.cores, 3) for device in devices] == [0.25] * 8
    assert [round(device.rate / 1e6) for device in devices] == [152] * 8
    check_room("nano-8", devices, cores=2, memory=16 * 2**30)


def test_the_unequal_ones_have_their_real_ratios() -> None:
    nano, tx2, orin, pi = scaled(read(HOSTFILES / "mixed-4.toml"))
    peaks = [128 * 0.9216 * 2, 256 * 1.302 * 2, 1024 * 0.625 * 2, 4 * 2.4 * 16]  # data sheets
    for device, peak in zip((nano, tx2, orin, pi), peaks, strict=True):
        assert device.cores / nano.cores == pytest.approx(peak / peaks[0], rel=0.02)
    check_room("mixed-4", (nano, tx2, orin, pi), cores=2, memory=14 * 2**30)


def test_the_slow_wifi_has_a_delay() -> None:
    devices = scaled(read(HOSTFILES / "wifi-4.toml"))
    assert [round(device.delay * 1e3) for device in devices] == [18] * 4
    check_room("wifi-4", devices, cores=2, memory=8 * 2**30)
