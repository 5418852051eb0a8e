"""A laser of a Micro-Manager core: order of commands, going dark whatever fails, honest errors."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pymmcore_plus import CMMCorePlus, DeviceType
from pymmcore_plus.experimental.unicore import UniMMCore

from rtsmlm.drivers.micromanager.core import release_core
from rtsmlm.drivers.micromanager.laser import MicroManagerLaser
from rtsmlm.drivers.simulated.hub import microscope_of_core
from rtsmlm.errors import ConfigError, DeviceError
from rtsmlm.protocols import Actuator
from rtsmlm.settings.lasers import LaserSettings
from rtsmlm.settings.load import packaged

POWER, STATE, PULSE, SHUTTER = (
    ("L", "PowerSetpoint"), ("L", "State"), ("T", "Duration0"), ("S", "")
)  # fmt: skip

many = hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def obis(bench: Any) -> Callable[[], Any]:
    """Return a function that makes a core with an OBIS, a shutter and a trigger."""
    core_class, device, prop = bench

    def make() -> Any:
        head = {"PowerSetpoint": prop("1", limits=(1.0, 100.0)), "State": prop("0", ("0", "1"))}
        trigger = {"Duration0": prop("0", limits=(0.0, 1_048_575.0))}
        return core_class(
            {
                "L": device("CoherentOBIS", "CoherentObis", head, DeviceType.ShutterDevice),
                "S": device("Lab", "Flap", {}, DeviceType.ShutterDevice),
                "T": device("Lab", "Trigger", trigger),
            }
        )

    return make


def laser_of(core: Any, **stated: Any) -> MicroManagerLaser:
    return MicroManagerLaser(core, "uv", LaserSettings(device="L", **stated))


PULSED = {"pulse_property": "Duration0", "pulse_device": "T"}


@pytest.mark.parametrize("pulsed", [False, True])
def test_light_comes_last_and_goes_in_steps(obis: Callable[[], Any], pulsed: bool) -> None:
    core = obis()
    laser = laser_of(core, shutter="S", **(PULSED if pulsed else {}))

    laser.set(5.0)

    assert [(d, p) for d, p, _ in core.commands] == [
        *([PULSE] if pulsed else []), POWER, STATE, SHUTTER
    ]  # fmt: skip
    assert laser.setpoint() == pytest.approx(5.0, rel=1e-4)
    core.commands.clear()
    laser.set(5.0)
    assert STATE not in [(d, p) for d, p, _ in core.commands]  # it is on already
    core.commands.clear()

    assert laser.make_safe() == []

    assert core.commands == [
        ("L", "PowerSetpoint", "1.0000"),
        *([("T", "Duration0", "0.0000")] if pulsed else []),
        ("L", "State", "0"),
        ("S", "", "closed"),
    ]
    assert laser.setpoint() == 0.0


@many
@given(
    broken=st.sets(st.sampled_from([POWER, STATE, PULSE, SHUTTER])),
    mute=st.sets(st.sampled_from([POWER, STATE, PULSE, SHUTTER])),
)
def test_whatever_fails_every_step_to_dark_is_tried_and_told(
    obis: Callable[[], Any], broken: set[tuple[str, str]], mute: set[tuple[str, str]]
) -> None:
    core = obis()
    laser = laser_of(core, shutter="S", **PULSED)
    laser.set(5.0)
    core.commands.clear()
    core.broken, core.mute = broken, mute

    failures = laser.make_safe()

    assert [(d, p) for d, p, _ in core.commands] == [POWER, PULSE, STATE, SHUTTER]
    for device, name in broken:
        assert sum(f"{device}.{name} refused" in f or "does not close" in f for f in failures) >= 1
    is_dark = not {STATE, SHUTTER, PULSE} <= broken  # a pulse of no length is dark as well
    if is_dark and not mute:
        assert len(failures) == len(broken)
    if not is_dark:
        assert len(failures) > len(broken)  # that it is still on is told as well
    assert all("\n" not in failure for failure in failures)
    core.broken, core.mute = set(), set()
    assert laser.make_safe() == []
    assert laser.setpoint() == 0.0


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_what_would_end_the_program_ends_no_step_to_dark(
    obis: Callable[[], Any], error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = obis()
    laser = laser_of(core, shutter="S", **PULSED)
    laser.set(5.0)
    put = core.setProperty

    def fail(device: str, name: str, value: object) -> None:
        if (device, name) == POWER:
            raise error
        put(device, name, value)

    monkeypatch.setattr(core, "setProperty", fail)

    [failure] = laser.make_safe()

    assert failure == type(error).__name__
    assert laser.setpoint() == 0.0
    assert not core.getShutterOpen("S")


def test_a_head_that_swallows_commands_is_caught(obis: Callable[[], Any]) -> None:
    core = obis()
    laser = laser_of(core)
    laser.set(5.0)
    core.setProperty = lambda *command: core.commands.append(command)

    assert laser.make_safe() == [
        "laser uv still has 5 mW set and its emission on; switch it off manually"
    ]


def test_power_is_lowered_to_what_was_known_when_limits_are_not_told(
    obis: Callable[[], Any],
) -> None:
    core = obis()
    laser = laser_of(core)
    laser.set(5.0)
    core.hasPropertyLimits = lambda label, name: 1 / 0

    assert laser.make_safe() == []

    assert core.values("L") == {"PowerSetpoint": "1.0000", "State": "0"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1.0, 0.5, 100.1])
def test_no_command_goes_out_for_a_power_that_cannot_be(
    obis: Callable[[], Any], value: float
) -> None:
    core = obis()

    with pytest.raises(DeviceError, match=r"laser uv was asked for .*(finite|1 to 100 mW)"):
        laser_of(core).set(value)

    assert core.commands == []


def test_zero_is_dark(obis: Callable[[], Any]) -> None:
    core = obis()
    laser = laser_of(core)
    laser.set(5.0)

    laser.set(0.0)

    assert core.values("L") == {"PowerSetpoint": "1.0000", "State": "0"}
    core.broken = {STATE}
    with pytest.raises(DeviceError, match=r"L\.State refused 0: serial command failed"):
        laser.set(0.0)


def test_a_failed_power_leaves_the_light_off(obis: Callable[[], Any]) -> None:
    core = obis()
    core.broken = {POWER}

    with pytest.raises(DeviceError, match=r"laser uv: L\.PowerSetpoint refused 5\.0000: serial"):
        laser_of(core).set(5.0)

    assert core.values("L")["State"] == "0"


@many
@given(
    low=st.floats(0, 10, allow_subnormal=False),
    width=st.floats(0.01, 1e4),
    part=st.floats(0, 1),
)
def test_every_power_within_the_limits_is_accepted(
    obis: Callable[[], Any], low: float, width: float, part: float
) -> None:
    core = obis()
    core.property(*POWER).limits = (low, low + width)
    laser = laser_of(core)
    least, most = laser.limits()
    assert low - 1e-9 <= least <= low + 1e-4 + 1e-9
    assert low + width - 1e-4 - 1e-9 <= most <= low + width + 1e-9

    for value in (least, most, least + part * (most - least)):
        if value > 0:
            laser.set(value)
            assert laser.setpoint() == pytest.approx(value, abs=1e-4)


def test_limits_are_asked_for_anew(obis: Callable[[], Any]) -> None:
    core = obis()
    laser = laser_of(core)

    core.property(*POWER).limits = (2.0, 50.0)

    assert laser.limits() == (2.0, 50.0)
    with pytest.raises(DeviceError, match="2 to 50 mW"):
        laser.set(60.0)


def test_without_limits_the_cap_is_the_limit(obis: Callable[[], Any]) -> None:
    core = obis()
    core.property(*POWER).limits = None

    assert laser_of(core, max_power=30.0).limits() == (0.0, 30.0)
    with pytest.raises(DeviceError, match="does not report the limits of PowerSetpoint; state max"):
        laser_of(core)


def test_a_laser_that_nothing_can_darken_is_refused(obis: Callable[[], Any]) -> None:
    core = obis()
    stated = {"preset": "none", "power_property": "PowerSetpoint", "power_unit": "mW"}

    with pytest.raises(ConfigError, match="cannot go dark: its least power is 1 mW"):
        laser_of(core, **stated)

    assert laser_of(core, shutter="S", **stated).make_safe() == []


@pytest.mark.parametrize(
    ("text", "value"), [("3,25", 3.25), ("3.25 mW", 3.25), ("1e-3", 0.001), (" 7 ", 7.0)]
)
def test_numbers_are_read_as_adapters_write_them(
    obis: Callable[[], Any], text: str, value: float
) -> None:
    core = obis()
    laser = laser_of(core, readback_property="PowerSetpoint")
    core.property(*POWER).value = text

    assert laser.readback() == value


@pytest.mark.parametrize("text", ["nan", "inf", "", "ERR 5", "-"])
def test_what_is_no_number_is_an_error(obis: Callable[[], Any], text: str) -> None:
    core = obis()
    laser = laser_of(core, readback_property="PowerSetpoint")
    core.property(*POWER).value = text

    with pytest.raises(DeviceError, match=r"L\.PowerSetpoint is '.*', which is no number"):
        laser.readback()


def test_pulses_go_below_the_least_power(obis: Callable[[], Any]) -> None:
    core = obis()
    laser = laser_of(core, **PULSED)
    low, high = laser.limits()
    assert low == pytest.approx(1.0 * 1 / 10_000)  # 1 mW for 1 us of 10 ms
    assert high == pytest.approx(90.0)

    laser.set(0.01)

    assert float(core.values("L")["PowerSetpoint"]) == 1.0
    assert float(core.values("T")["Duration0"]) == pytest.approx(100.0)
    assert laser.setpoint() == pytest.approx(0.01)
    assert laser.readback() is None
    with pytest.raises(DeviceError, match=r"asked for 95 mW; it gives 0\.0001 to 90 mW"):
        laser.set(95.0)


def test_a_pulsed_laser_goes_dark_without_a_camera(obis: Callable[[], Any]) -> None:
    core = obis()
    laser = laser_of(core, **PULSED)
    laser.set(5.0)
    core.getExposure = lambda: 1 / 0

    assert laser.make_safe() == []

    assert laser.setpoint() == 0.0
    with pytest.raises(DeviceError, match="the camera does not report its exposure"):
        laser.set(5.0)


@many
@given(st.lists(st.floats(1e-3, 90.0), min_size=2, max_size=12))
def test_no_frame_gets_more_than_the_larger_of_two_powers(
    obis: Callable[[], Any], values: list[float]
) -> None:
    core = obis()
    laser = laser_of(core, **PULSED)
    shone: list[float] = []

    def note(device: str, name: str) -> None:
        power, length = core.values("L")["PowerSetpoint"], core.values("T")["Duration0"]
        shone.append(float(power) * float(length) / 10_000)

    core.before = note
    for before, after in pairwise(values):
        laser.set(before)
        shone.clear()
        laser.set(after)
        assert max(shone) <= max(before, after) * 1.02  # lengths are rounded, by 1e-4 us of 1 us
        assert laser.setpoint() == pytest.approx(after, rel=1e-2)


@pytest.mark.parametrize("current", ["L", "S"])
def test_auto_shutter_is_taken_away_from_the_laser(
    obis: Callable[[], Any], current: str, caplog: pytest.LogCaptureFixture
) -> None:
    core = obis()
    core.auto_shutter, core.shutter = True, current

    with caplog.at_level(logging.WARNING, logger="rtsmlm.drivers.micromanager.shutter"):
        laser = laser_of(core, shutter="S")

    assert not core.auto_shutter
    assert f"would open and close {current} with every image" in caplog.text
    core.auto_shutter = True
    laser.set(5.0)
    assert not core.auto_shutter


def test_auto_shutter_of_another_shutter_is_let_be(obis: Callable[[], Any]) -> None:
    core = obis()
    core.auto_shutter, core.shutter = True, "S"

    laser_of(core)

    assert core.auto_shutter


def test_rest_does_not_wait_for_a_command_that_hangs_and_wins(obis: Callable[[], Any]) -> None:
    core = obis()
    laser = laser_of(core)
    hangs, go_on = threading.Event(), threading.Event()

    def hang(device: str, name: str) -> None:
        if threading.current_thread().name == "setter" and (device, name) == POWER:
            hangs.set()
            assert go_on.wait(10)

    core.before = hang
    errors: list[str] = []

    def put() -> None:
        try:
            laser.set(5.0)
        except DeviceError as error:
            errors.append(str(error))

    setter = threading.Thread(target=put, name="setter")
    setter.start()
    assert hangs.wait(10)
    # The setter's own way to dark must not hang again.
    assert laser.make_safe() == []
    core.before = lambda device, name: None
    go_on.set()
    setter.join(10)

    assert errors == ["laser uv was switched off while it was set"]
    assert core.values("L") == {"PowerSetpoint": "1.0000", "State": "0"}
    assert ("L", "State", "1") not in core.commands


def test_missing_devices_are_named(obis: Callable[[], Any]) -> None:
    for stated in ({"shutter": "X"}, {"pulse_property": "P", "pulse_device": "X"}):
        with pytest.raises(ConfigError, match=r"no device 'X' is loaded; .* L, S, T"):
            laser_of(obis(), **stated)


@pytest.fixture
def sim_core() -> Iterator[UniMMCore]:
    core = UniMMCore()
    core.loadSystemConfiguration(packaged("hil_sim.cfg"))
    yield core
    release_core(core)


@pytest.fixture
def sim_laser(sim_core: UniMMCore) -> MicroManagerLaser:
    return MicroManagerLaser(
        sim_core, "activation", LaserSettings(device="Laser405", max_power=20.0)
    )


def test_the_simulated_laser_lights_the_sample(
    sim_core: UniMMCore, sim_laser: MicroManagerLaser
) -> None:
    actuator: Actuator = sim_laser
    microscope = microscope_of_core(sim_core)
    assert (actuator.name, actuator.unit) == ("activation", "mW")
    assert (actuator.setpoint(), actuator.readback(), actuator.fault()) == (0.0, 0.0, None)
    assert microscope.laser_mw(640) == 0.0  # all lasers are off when it loads

    actuator.set(50.0)

    assert microscope.laser_mw(405) == pytest.approx(0.05)
    assert (actuator.setpoint(), actuator.readback()) == (50.0, 50.0)
    assert actuator.make_safe() == []
    assert microscope.laser_mw(405) == 0.0


def test_an_open_interlock_ends_the_light_and_is_told(
    sim_core: UniMMCore, sim_laser: MicroManagerLaser
) -> None:
    sim_laser.set(50.0)

    sim_core.setProperty("Laser405", "Interlock", "OPEN")

    assert sim_laser.fault() == "Laser405.Interlock is OPEN"
    assert sim_laser.setpoint() == 0.0
    assert microscope_of_core(sim_core).laser_mw(405) == 0.0
    with pytest.raises(DeviceError, match="its interlock is open"):
        sim_laser.set(50.0)
    sim_core.setProperty("Laser405", "Interlock", "OK")
    assert microscope_of_core(sim_core).laser_mw(405) == 0.0
    sim_laser.set(50.0)
    assert sim_laser.fault() is None


def test_a_dead_serial_line_is_an_error_and_the_light_stays(
    sim_core: UniMMCore, sim_laser: MicroManagerLaser
) -> None:
    sim_laser.set(50.0)
    sim_core.setProperty("Laser405", "FaultSerial", 1)

    for ask in (sim_laser.setpoint, sim_laser.readback, lambda: sim_laser.set(2.0)):
        with pytest.raises(DeviceError, match="serial error"):
            ask()
    failures = sim_laser.make_safe()

    assert len(failures) == 3  # power, emission, and whether it is dark
    assert all("serial error" in failure for failure in failures)
    assert microscope_of_core(sim_core).laser_mw(405) == pytest.approx(0.05)
    sim_core.setProperty("Laser405", "FaultSerial", 0)
    assert sim_laser.make_safe() == []
    assert microscope_of_core(sim_core).laser_mw(405) == 0.0


def test_a_wrong_power_is_measured(sim_core: UniMMCore, sim_laser: MicroManagerLaser) -> None:
    sim_laser.set(10.0)
    sim_core.setProperty("Laser405", "FaultReadback_mW", 30.0)

    assert (sim_laser.setpoint(), sim_laser.readback()) == (10.0, 30.0)


@pytest.mark.parametrize("core_class", [CMMCorePlus, UniMMCore])
def test_an_analogue_output_of_the_real_demo_adapter_is_steered(
    core_class: type[CMMCorePlus],
) -> None:
    adapters = pytest.importorskip("mm_test_adapters").device_adapter_path()
    core = core_class(adapter_paths=[adapters])
    core.loadSystemConfiguration(packaged("hil_mm_demo.cfg"))
    core.setAutoShutter(True)
    laser = MicroManagerLaser(
        core, "a", LaserSettings(device="Activation", shutter="Shutter", max_power=5.0)
    )

    assert laser.limits() == (0.0, 10.0)
    assert laser.fault() is laser.readback() is None
    assert not core.getAutoShutter()
    laser.set(1.23456)
    assert core.getProperty("Activation", "Voltage") == "1.2346"
    assert core.getShutterOpen("Shutter")
    assert laser.setpoint() == 1.2346
    with pytest.raises(DeviceError, match="asked for nan"):
        laser.set(math.nan)  # the core itself would take it
    assert laser.make_safe() == []
    assert float(core.getProperty("Activation", "Voltage")) == 0.0
    assert not core.getShutterOpen("Shutter")
    assert laser.setpoint() == 0.0
    release_core(core)


@pytest.mark.parametrize(
    ("combined", "property_name", "member"),
    [
        ("Multi Shutter", "Physical Shutter 1", "Shutter"),
        ("DA Shutter", "DA Device", "Activation"),
        ("Property Shutter", "Target Device", "Activation"),
    ],
)
def test_auto_shutter_of_a_combined_shutter_is_taken_away(
    combined: str, property_name: str, member: str
) -> None:
    adapters = pytest.importorskip("mm_test_adapters").device_adapter_path()
    core = CMMCorePlus(adapter_paths=[adapters])
    core.loadSystemConfiguration(packaged("hil_mm_demo.cfg"))
    core.loadDevice("All", "Utilities", combined)
    core.initializeDevice("All")
    core.setShutterDevice("All")
    core.setAutoShutter(True)
    stated = LaserSettings(device="Activation", shutter="Shutter", max_power=5.0)

    MicroManagerLaser(core, "a", stated)
    assert core.getAutoShutter()  # it does not hold the laser yet

    core.setProperty("All", property_name, member)
    MicroManagerLaser(core, "a", stated)

    assert not core.getAutoShutter()
    release_core(core)
