"""What the window may say of the lasers: nothing is taken for dark that the run does not state."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtsmlm.stream.messages import RunMessage, StatusMessage
from rtsmlm.viewer.light_state import NO_STATUS_S, LightState
from rtsmlm.viewer.sources.updates import RunUpdate


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def light(clock: Clock) -> LightState:
    return LightState(clock_s=clock)


def begin(tick_s: float | None = None) -> RunUpdate:
    """Return the update with which a run begins."""
    about = {"run": "r", "shape": (64, 64), "pixel_nm": 100.0}
    run = RunMessage.model_validate(about | {"settings": {"feedback": {"tick_s": tick_s}}})
    return RunUpdate(connection="live", run=run, begins=True)


def update(plain: dict[str, Any], connection: Any = "live", **loop: Any) -> RunUpdate:
    """Return an update with a status, whose loop is changed."""
    status = StatusMessage.model_validate(plain | {"loop": plain["loop"] | loop})
    return RunUpdate(connection=connection, status=status)


OFF = {"tripped": "lasers switched off by the user", "power": 0.0}


# -- closing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "loop", "shines"),
    [
        ("live", {}, True),
        ("silent", {}, True),
        ("lost", {}, True),
        ("ended", {}, False),
        ("live", {"armed": False}, False),
        ("live", {"armed": False, "not_dark": ("activation",)}, True),
        ("live", OFF, True),
        ("live", OFF | {"seen_dark": True}, False),
        ("live", OFF | {"seen_dark": True, "not_dark": ("activation",)}, True),
    ],
)
def test_a_laser_may_shine_until_the_run_states_that_it_is_over_unarmed_or_seen_dark(
    light: LightState, status: Any, connection: Any, loop: dict[str, Any], shines: bool
) -> None:
    light.take(update(status(), connection, **loop))

    assert light.may_shine is shines


def test_before_the_first_status_the_owner_of_the_run_knows_whether_it_is_armed() -> None:
    for is_armed in (False, True):
        light = LightState(is_armed=is_armed)
        assert light.may_shine is is_armed
        light.take(RunUpdate(connection="waiting"))
        assert light.may_shine is is_armed
        light.take(RunUpdate(connection="ended"))
        assert not light.may_shine


def test_a_run_that_steers_no_laser_is_armed_as_its_owner_says(status: Any) -> None:
    message = StatusMessage.model_validate(status(loop=None))
    for is_armed in (False, True):
        light = LightState(is_armed=is_armed)
        light.take(RunUpdate(connection="live", status=message))
        assert light.may_shine is is_armed


# -- off -----------------------------------------------------------------------------------------


def test_off_is_confirmed_only_by_a_latch_and_dark_seen(light: LightState, status: Any) -> None:
    light.take(update(status()))
    assert light.off_state == ""

    light.note_off()
    assert light.off_state == "off, not confirmed yet"
    light.take(update(status()))  # was on its way
    assert light.off_state == "off, not confirmed yet"
    light.take(update(status(), **OFF))
    assert light.off_state == "off, not confirmed yet", "nothing was seen dark yet"
    light.take(update(status(), **OFF, not_dark=("activation",)))
    assert light.off_state == "off, not confirmed yet"
    light.take(update(status(), **OFF, seen_dark=True))
    assert light.off_state == "off, confirmed"


def test_what_was_confirmed_is_forgotten_when_the_latch_is_lifted(
    light: LightState, status: Any
) -> None:
    light.note_off()
    light.take(update(status(), **OFF, seen_dark=True))
    light.take(update(status(), armed=False, seen_dark=True))

    assert light.off_state == ""


def test_a_second_press_is_not_confirmed_by_the_status_of_the_first(
    light: LightState, status: Any
) -> None:
    light.note_off()
    light.take(update(status(), **OFF, seen_dark=True))
    light.note_off()

    assert light.off_state == "off, not confirmed yet"


def test_a_run_without_lasers_never_says_that_one_is_off(light: LightState, status: Any) -> None:
    light.note_off()
    light.take(RunUpdate(connection="live", status=StatusMessage.model_validate(status(loop=None))))
    assert light.off_state == "no laser is driven"
    armed = LightState(is_armed=True)
    armed.note_off()
    armed.take(RunUpdate(connection="live", status=StatusMessage.model_validate(status(loop=None))))
    assert armed.off_state == "off, not confirmed yet"


# -- warnings ------------------------------------------------------------------------------------


def test_a_laser_that_is_not_confirmed_dark_is_an_alarm_until_the_run_confirms_it(
    light: LightState, status: Any, clock: Clock
) -> None:
    light.take(update(status(), not_dark=("activation", "readout"), **OFF))
    for connection in ("live", "silent", "lost", "ended"):
        light.take(RunUpdate(connection=connection))  # type: ignore[arg-type]
        clock.s += 1.0
        [warning, *_] = light.warnings()
        assert warning.is_alarm
        assert warning.text.startswith("NOT CONFIRMED DARK: activation, readout.")
        assert "close its shutter" in warning.text

    light.take(update(status(), seen_dark=True, **OFF))
    assert light.warnings() == []


@pytest.mark.parametrize(
    ("tick_s", "age_s", "is_old"),
    [
        (None, 1.9, False), (None, 2.1, True), (0.2, 0.39, False), (0.2, 0.41, True),
        (5.0, 9.9, False), (5.0, 10.1, True), (1.0, math.nan, False), (1.0, math.inf, True),
    ],
)  # fmt: skip
def test_data_older_than_two_ticks_are_old(
    light: LightState, status: Any, tick_s: float | None, age_s: float, is_old: bool
) -> None:
    light.take(begin(tick_s))
    light.take(update(status(), data_age_s=age_s))

    warnings = light.warnings()
    assert bool(warnings) is is_old
    if is_old:
        assert warnings[0].text.startswith("Steering on data ")
        assert not warnings[0].is_alarm


@pytest.mark.parametrize("loop", [{"armed": False}, OFF])
def test_where_nothing_is_steered_old_data_are_no_matter(
    light: LightState, status: Any, loop: dict[str, Any]
) -> None:
    light.take(update(status(), data_age_s=60.0, **loop))

    assert light.warnings() == []


def test_without_a_status_of_an_armed_run_that_is_shown_with_its_seconds(
    light: LightState, status: Any, clock: Clock
) -> None:
    light.take(update(status()))
    clock.s += NO_STATUS_S
    assert light.warnings() == []

    clock.s += 4.0
    [warning] = light.warnings()
    assert warning.text.startswith("No status of the run for 7 s; its lasers were armed.")
    assert "rtsmlm lasers-off" in warning.text
    light.take(RunUpdate(connection="ended"))
    assert light.warnings() == []


def test_another_run_begins_without_what_was_known_of_the_one_before(
    light: LightState, status: Any
) -> None:
    light.take(update(status(), not_dark=("activation",)))
    light.note_off()
    light.take(begin())

    assert light.warnings() == []
    assert light.off_state == ""
