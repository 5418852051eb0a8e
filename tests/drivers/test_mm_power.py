"""Power of a laser of Micro-Manager: its limits, asked for anew, and the way down to its least."""

from __future__ import annotations

from typing import Any

import pytest

from rtsmlm.drivers.micromanager.laser_properties import LaserProperties
from rtsmlm.drivers.micromanager.power import PulsedPower, SteadyPower
from rtsmlm.drivers.micromanager.property import NumberProperty
from rtsmlm.errors import DeviceError


@pytest.fixture
def core(bench: Any) -> Any:
    make_core, make_device, make_property = bench
    head = {
        "Power": make_property("1", limits=(1.0, 100.0)),
        "Free": make_property("1"),
        "Least": make_property("0.002"),
        "Most": make_property("0.05"),
    }
    pulser = {"Duration": make_property("0", limits=(0.0, 20_000.0))}
    return make_core(
        {"Head": make_device("Lab", "Head", head), "Pulser": make_device("Lab", "Pulser", pulser)}
    )


def steady(
    core: Any, power: str = "Power", unit: str = "mW", most: float | None = None, **more: Any
) -> SteadyPower:
    properties = LaserProperties(device="Head", preset="none", power=power, unit=unit, **more)
    return SteadyPower(core, "laser uv", properties, most)


def test_the_limits_are_those_that_the_device_has_now(core: Any) -> None:
    power = steady(core)
    assert power.limits() == (1.0, 100.0)

    core.property("Head", "Power").limits = (2.0, 40.0)

    assert power.limits() == (2.0, 40.0)
    with pytest.raises(DeviceError, match="asked for 50 mW; it gives 2 to 40 mW"):
        power.put(50.0)


@pytest.mark.parametrize("value", [0.9, 0.0, -1.0, 100.1, 1e6])
def test_no_command_goes_out_beyond_the_limits(core: Any, value: float) -> None:
    with pytest.raises(DeviceError, match="it gives 1 to 100 mW, and 0 is dark"):
        steady(core).put(value)

    assert core.commands == []


@pytest.mark.parametrize(("value", "sent"), [(1.0 - 1e-6, 1.0), (100.0 + 1e-6, 100.0)])
def test_a_rounding_step_beyond_a_limit_is_that_limit(core: Any, value: float, sent: float) -> None:
    power = steady(core)

    power.put(value)

    assert power.get() == pytest.approx(sent)


def test_a_device_without_limits_is_limited_by_its_own_properties_in_the_unit_of_the_power(
    core: Any,
) -> None:
    properties = LaserProperties(
        device="Head", preset="obis", power="Free", unit="mW",
        least="Least", most="Most", limits_factor=1000.0,
    )  # fmt: skip
    power = SteadyPower(core, "laser uv", properties, None)

    low, high = power.limits()

    assert (low, high) == pytest.approx((2.0, 50.0), rel=1e-3)
    assert low >= 2.0
    assert high <= 50.0, "rounding never widens a limit"


def test_percent_ends_at_a_hundred_where_nothing_is_stated(core: Any) -> None:
    assert steady(core, "Free", unit="%").limits() == (0.0, 100.0)


def test_the_cap_of_the_settings_is_the_limit_where_the_device_reports_none(core: Any) -> None:
    assert steady(core, "Free", most=30.0).limits() == (0.0, 30.0)


def test_a_laser_without_any_limit_is_an_error_that_says_what_to_state(core: Any) -> None:
    with pytest.raises(DeviceError, match=r"limits of Free; state max_power"):
        steady(core, "Free").limits()


def test_the_way_down_is_to_the_least_power(core: Any) -> None:
    power = steady(core)
    power.put(50.0)

    for step in power.steps_down():
        step()

    assert power.get() == 1.0


def test_a_head_that_reports_no_limits_any_more_goes_to_its_last_known_least(core: Any) -> None:
    power = steady(core, "Free", least="Least", limits_factor=1000.0, most=30.0)
    low, _ = power.limits()
    power.put(20.0)
    core.mute.add(("Head", "Least"))

    for step in power.steps_down():
        step()

    assert power.get() == pytest.approx(low)


def pulsed(core: Any) -> PulsedPower:
    pulse = NumberProperty(core, "laser uv", "Pulser", "Duration")
    return PulsedPower(core, "laser uv", steady(core), pulse, "mW")


@pytest.mark.parametrize("value", [0.05, 0.5, 5.0, 90.0])
def test_an_effective_power_is_power_times_its_part_of_the_frame(core: Any, value: float) -> None:
    power = pulsed(core)

    power.put(value)

    head = float(core.values("Head")["Power"])
    length_us = float(core.values("Pulser")["Duration"])
    assert power.get() == pytest.approx(value, rel=0.05)
    assert head * length_us / 10_000.0 == pytest.approx(value, rel=0.05)
    assert length_us <= 10_000.0, "no longer than the frame"


def test_no_frame_gets_more_light_than_the_larger_of_two_powers(core: Any) -> None:
    power = pulsed(core)

    for before, after in [(0.5, 90.0), (90.0, 0.5), (20.0, 60.0)]:
        power.put(before)
        lit: list[float] = []
        core.before = lambda device, name, lit=lit: lit.append(power.get())
        power.put(after)
        core.before = lambda device, name: None
        lit.append(power.get())
        assert max(lit) <= max(before, after) * 1.05


def test_the_way_down_shortens_the_pulse_too(core: Any) -> None:
    power = pulsed(core)
    power.put(50.0)

    for step in power.steps_down():
        step()

    assert float(core.values("Head")["Power"]) == 1.0
    assert float(core.values("Pulser")["Duration"]) == 0.0
    assert power.get() == 0.0


def test_a_camera_that_does_not_answer_is_named(core: Any) -> None:
    def silent() -> float:
        raise RuntimeError("no camera")

    core.getExposure = silent

    with pytest.raises(DeviceError, match="the camera does not report its exposure: no camera"):
        pulsed(core).limits()


def test_an_effective_power_beyond_the_limits_moves_nothing(core: Any) -> None:
    with pytest.raises(DeviceError, match="asked for 150 mW"):
        pulsed(core).put(150.0)

    assert core.commands == []
