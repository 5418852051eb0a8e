"""Settings of lasers, stages and the loop that steers them; `config.RunSettings` holds them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtsmlm.settings.base import Settings

Point = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class LaserSettings(Settings):
    """A laser, or whatever else sets light: its device, what its properties mean, its limits.

    Powers are in the unit of the power property: mW, %, V, or us of pulse length.
    """

    driver: str = "micromanager"
    """Entry point of group `rtsmlm.laser`: micromanager, or one of your own."""
    device: str
    """Label of the device in the Micro-Manager configuration; for a driver of your own whatever it
    understands, such as a serial port."""
    options: dict[str, str | float | int | bool] = Field(default_factory=dict)
    """What else a driver of your own wants to know."""
    preset: str = "auto"
    """Which properties it has: the name of a preset, auto to go by its adapter, or none to state
    all of them here."""
    power_property: str | None = None
    """Property that sets the power."""
    power_unit: Literal["mW", "%", "V", "us"] | None = None
    """Unit of that property."""
    on_property: str | None = None
    """Property that switches emission."""
    on_value: str | None = None
    off_value: str | None = None
    readback_property: str | None = None
    """Property with the measured power; only a measurement, never an echo of the set-point."""
    interlock_property: str | None = None
    """Property that reports a fault or an open interlock."""
    ok_values: tuple[str, ...] | None = None
    """Values of interlock_property with which all is well."""
    pulse_property: str | None = None
    """Property with the pulse length per frame in us, for pulsed activation."""
    pulse_device: str | None = None
    """Label of the device of pulse_property; not given is the laser itself."""
    shutter: str | None = None
    """Label of a shutter in front of it, closed last when it goes dark."""
    max_power: Annotated[float, Field(gt=0)] | None = None
    """Your cap, in the unit of the power. Without it the laser is never armed."""
    min_power: Annotated[float, Field(ge=0)] | None = None
    """Below it the laser is off. Not given: the device's lower limit, else a 1000th of the cap."""
    start_power: Annotated[float, Field(ge=0)] = 0.0
    """Power at the start of an armed run; 0 leaves it dark until the loop asks for light."""
    max_dose: Annotated[float, Field(gt=0)] | None = None
    """Most power times seconds in a run; reaching it is a trip."""
    schedule: tuple[Point, ...] = ()
    """Readout laser: (seconds since start, power) points, joined by straight lines."""

    @model_validator(mode="after")
    def _in_order(self) -> LaserSettings:
        _ascending("schedule", self.schedule)
        cap = self.max_power
        if cap is not None:
            planned = [self.start_power, *(power for _, power in self.schedule)]
            if max(planned) > cap:
                raise ValueError(f"a power of {max(planned):g} is planned, the cap is {cap:g}")
            if self.min_power is not None and self.min_power >= cap:
                raise ValueError(f"min_power {self.min_power:g} must lie below max_power {cap:g}")
        return self


class StageSettings(Settings):
    """A stage that may be moved, and how far."""

    driver: str = "micromanager"
    """Entry point of group `rtsmlm.stage`: micromanager, or one of your own."""
    device: str
    """Label of the stage in the Micro-Manager configuration."""
    axis: Literal["x", "y", "z"] = "z"
    """Axis that is moved: z of a focus drive, x or y of an XY stage."""
    range_um: Annotated[float, Field(gt=0)] = 2.0
    """Most distance from where the stage stood at the start, either way."""
    max_step_um: Annotated[float, Field(gt=0)] = 0.1
    """Most distance of one move."""
    direction: Literal[-1, 1] | None = None
    """Whether x_nm, y_nm or z_nm of the rows rise (1) or fall (-1) where the stage moves up; of a
    focus drive mostly -1. drift.hold = "move" needs it stated."""


def _ascending(name: str, points: tuple[Point, ...]) -> None:
    times = [t for t, _ in points]
    if any(b <= a for a, b in pairwise(times)):
        raise ValueError(f"the times of {name} must rise: {times}")


def at_time(points: float | tuple[Point, ...], t_s: float) -> float:
    """Return the value of points joined by straight lines; before and after them the ends hold."""
    if not isinstance(points, tuple):
        return points
    before = points[0]
    if t_s <= before[0]:
        return before[1]
    for point in points[1:]:
        if t_s < point[0]:
            part = (t_s - before[0]) / (point[0] - before[0])
            return before[1] + part * (point[1] - before[1])
        before = point
    return before[1]
