"""Numbers, shutters and facts of Micro-Manager devices: exact limits, errors with names."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymmcore_plus import DeviceType, PropertyType

from rtsmlm.drivers.micromanager.device_facts import facts_of, hub_of
from rtsmlm.drivers.micromanager.device_survey import devices_of, lasers_of
from rtsmlm.drivers.micromanager.property import (
    STEP,
    NumberProperty,
    get_text,
    inward,
    one_line,
    put_text,
    within,
)
from rtsmlm.drivers.micromanager.shutter import Shutter, take_from_auto_shutter
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.settings.load import from_mapping

numbers = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.fixture
def core(bench: Any) -> Any:
    """An attenuator and two shutters."""
    core_class, device, prop = bench
    attenuator = {
        "Level": prop("12.5", limits=(0.00004, 99.99996)),
        "Steps": prop("3", limits=(0.0, 255.0), kind=PropertyType.Integer),
        "Same": prop("1", limits=(5.0, 5.0)),
        "Free": prop("7"),
    }
    return core_class(
        {
            "Att": device("Lab", "Attenuator", attenuator),
            "S": device("Lab", "Flap", {}, DeviceType.ShutterDevice),
            "Both": device(
                "Utilities", "Multi Shutter", {"Physical Shutter 1": prop("S")},
                DeviceType.ShutterDevice,
            ),
        }
    )  # fmt: skip


def level(core: Any, name: str = "Level") -> NumberProperty:
    return NumberProperty(core, "laser activation", "Att", name)


@given(numbers, st.booleans())
def test_a_limit_is_rounded_into_itself_by_less_than_a_step(value: float, up: bool) -> None:
    rounded = inward(value, up=up)

    assert rounded >= value if up else rounded <= value
    assert abs(rounded - value) <= STEP * (1 + 1e-6)
    assert float(f"{rounded:.4f}") == rounded, "what Micro-Manager makes of it"


@given(numbers, numbers, st.floats(0.001, 1e5))
def test_a_value_within_limits_is_kept_as_micro_manager_will_round_it(
    value: float, low: float, width: float
) -> None:
    low, high = inward(low, up=True), inward(low + width, up=False)
    if low >= high:
        return

    found = within(value, low, high)

    if low <= value <= high:
        assert found is not None
    if found is not None:
        assert low <= found <= high
        assert abs(found - value) <= STEP * (1 + 1e-6)
    elif math.isfinite(value):
        assert value < low or value > high


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_lies_within_no_limits(value: float) -> None:
    assert within(value, 0.0, 10.0) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.floats(0.0, 99.0))
def test_what_is_set_can_be_read_to_four_decimals(core: Any, value: float) -> None:
    level(core).put(value if value > 0.0001 else 0.0001)

    assert level(core).get() == pytest.approx(max(value, 0.0001), abs=STEP / 2 * 1.001)


def test_a_whole_number_property_is_set_without_decimals(core: Any) -> None:
    level(core, "Steps").put(127.6)

    assert core.commands[-1] == ("Att", "Steps", "128")


@pytest.mark.parametrize(
    ("name", "limits"),
    [("Level", (0.0001, 99.9999)), ("Steps", (0.0, 255.0)), ("Same", None), ("Free", None)],
)
def test_limits_are_those_that_a_rounded_value_keeps(
    core: Any, name: str, limits: tuple[float, float] | None
) -> None:
    assert level(core, name).limits() == limits


def test_both_stated_limits_are_accepted_by_the_device(core: Any) -> None:
    limits = level(core).limits()
    assert limits is not None

    for value in limits:
        level(core).put(value)

    assert level(core).get() == limits[1]


@pytest.mark.parametrize("name", ["Level", "Nothing"])
def test_every_failure_names_laser_device_and_property_on_one_line(core: Any, name: str) -> None:
    core.mute.add(("Att", name))
    core.broken.add(("Att", name))
    wanted = rf"laser activation: Att\.{name} "

    for ask in (level(core, name).get, lambda: level(core, name).put(1.0)):
        with pytest.raises(DeviceError, match=wanted) as error:
            ask()
        assert len(str(error.value).splitlines()) == 1
    if name == "Nothing":
        with pytest.raises(DeviceError, match=wanted + "cannot be asked"):
            level(core, name).limits()


def test_texts_are_read_and_set_as_they_are(core: Any) -> None:
    put_text(core, "x", "Att", "Free", "External Trigger")

    assert get_text(core, "x", "Att", "Free") == "External Trigger"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("no answer."), "no answer"),
        (RuntimeError("serial\n  command\tfailed..."), "serial command failed"),
        (RuntimeError(""), "RuntimeError"),
        (ValueError(" . "), "ValueError"),
    ],
)
def test_what_vendor_code_says_fits_into_a_sentence(error: Exception, line: str) -> None:
    assert one_line(error).strip() == line


# -- shutters --------------------------------------------------------------------------------


def test_a_shutter_opens_closes_and_tells(core: Any) -> None:
    shutter = Shutter(core, "laser activation", "S")
    assert not shutter.is_open()

    shutter.open()
    assert shutter.is_open()
    shutter.close()

    assert not shutter.is_open()
    assert core.commands == [("S", "", "open"), ("S", "", "closed")]


def test_a_stuck_shutter_says_what_it_does_not_do(core: Any) -> None:
    core.broken.add(("S", ""))
    core.mute.add(("S", ""))
    shutter = Shutter(core, "laser activation", "S")

    with pytest.raises(DeviceError, match="laser activation: shutter S does not open: stuck"):
        shutter.open()
    with pytest.raises(DeviceError, match="shutter S does not close: stuck"):
        shutter.close()
    with pytest.raises(DeviceError, match="shutter S cannot be read: no answer"):
        shutter.is_open()


@pytest.mark.parametrize(
    ("current", "auto", "taken"),
    [("S", True, True), ("Both", True, True), ("S", False, False), ("", True, False),
     ("Att", True, False)],
)  # fmt: skip
def test_auto_shutter_is_taken_away_where_it_moves_the_shutter_of_the_laser(
    core: Any, current: str, auto: bool, taken: bool
) -> None:
    core.shutter, core.auto_shutter = current, auto

    assert take_from_auto_shutter(core, "laser activation", {"L", "S"}) is taken
    assert core.auto_shutter is (auto and not taken)


def test_an_auto_shutter_that_cannot_be_asked_is_an_error_and_no_guess(core: Any) -> None:
    core.shutter, core.auto_shutter = "gone", True

    with pytest.raises(DeviceError, match="laser activation: AutoShutter cannot be switched off"):
        take_from_auto_shutter(core, "laser activation", {"S"})


# -- what a core holds -------------------------------------------------------------------------


@pytest.fixture
def rig(bench: Any) -> Callable[..., Any]:
    """Return a function that makes a core with two OBIS heads, a stage and a camera."""
    core_class, device, prop = bench

    def obis() -> Any:
        properties = {
            "PowerSetpoint": prop("5", limits=(1.0, 100.0)),
            "State": prop("0", ("0", "1")),
        }
        return device("CoherentOBIS", "CoherentObis", properties, DeviceType.ShutterDevice)

    def make() -> Any:
        return core_class(
            {
                "OBIS 405": obis(),
                "obis/405": obis(),
                "Z": device("ASI", "ZStage", {}, DeviceType.StageDevice),
                "XY": device("ASI", "XYStage", {}, DeviceType.XYStageDevice),
                "Cam": device("Hamamatsu", "HamamatsuHam_DCAM", {}, DeviceType.CameraDevice),
            }
        )

    return make


def test_facts_are_read_without_asking_the_device(core: Any) -> None:
    core.mute.update(("Att", name) for name in core.getDevicePropertyNames("Att"))

    facts = facts_of(core, "Att")

    assert (facts.label, facts.library, facts.device) == ("Att", "Lab", "Attenuator")
    assert set(facts.properties) == {"Level", "Steps", "Same", "Free"}
    assert core.commands == []


def test_a_device_that_is_not_loaded_is_named_beside_those_that_are(core: Any) -> None:
    with pytest.raises(ConfigError, match=r"no device 'laser' is loaded.*Att, S, Both"):
        facts_of(core, "laser")


def test_a_hub_is_found_and_one_that_is_not_there_is_none(core: Any) -> None:
    assert hub_of(core, "Att") is None
    core.devices["Att"].parent = "Both"
    found = hub_of(core, "Att")
    assert found is not None
    assert found.label == "Both"
    core.devices["Att"].parent = "gone"
    assert hub_of(core, "Att") is None


def test_all_devices_are_listed_and_stages_with_their_axes(rig: Callable[..., Any]) -> None:
    found = {device.label: device for device in devices_of(rig())}

    assert set(found) == {"OBIS 405", "obis/405", "Z", "XY", "Cam"}, "the core itself is none"
    assert (found["Z"].axes, found["XY"].axes, found["Cam"].axes) == (("z",), ("x", "y"), ())
    assert found["Cam"].kind == "Camera"
    assert found["OBIS 405"].adapter == "CoherentOBIS"


def test_lasers_of_alike_labels_get_names_of_their_own_that_a_setting_can_have(
    rig: Callable[..., Any],
) -> None:
    lasers = list(lasers_of(rig()))

    assert [laser.name for laser in lasers] == ["obis_405", "obis_405_2"]
    sections = "\n".join(laser.toml() for laser in lasers)
    read = from_mapping(tomllib.loads(sections)).lasers
    assert {name: laser.device for name, laser in read.items()} == {
        "obis_405": "OBIS 405",
        "obis_405_2": "obis/405",
    }
    assert all(laser.max_power is None for laser in read.values()), "the cap is left to the user"


def test_a_survey_commands_nothing_and_bears_a_head_that_does_not_answer(
    rig: Callable[..., Any],
) -> None:
    core = rig()
    core.mute.add(("OBIS 405", "PowerSetpoint"))

    mute, other = lasers_of(core)

    assert "cannot be read: no answer" in mute.power
    assert other.power == "5"
    assert core.commands == []
