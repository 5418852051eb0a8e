"""Settings of lasers, stages and the loop that steers them; `config.RunSettings` holds them."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtsmlm.settings import Settings

Point = tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]]


class LaserSettings(Settings):
    """A laser, or whatever else sets light: its device, what its properties mean, its limits.

    Powers are in the unit of the power property: mW, %, V, or us of pulse length.
    """

    driver: str = "micromanager"
    """Entry point of group `rtsmlm.laser`: micromanager, or one of your own."""
    device: str
    """Label of the device in the Micro-Manager configuration."""
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
    """Property that tells of a fault or an open interlock."""
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

    device: str
    """Label of the stage in the Micro-Manager configuration."""
    axis: Literal["x", "y", "z"] = "z"
    """Axis that is moved: z of a focus drive, x or y of an XY stage."""
    range_um: Annotated[float, Field(gt=0)] = 2.0
    """Most distance from where the stage stood at the start, either way."""
    max_step_um: Annotated[float, Field(gt=0)] = 0.1
    """Most distance of one move."""


class StopSettings(Settings):
    """When an acquisition, or one position of it, is done. What is not given never ends it."""

    localizations: Annotated[int, Field(gt=0)] | None = None
    """So many localizations."""
    exhausted_s: Annotated[float, Field(gt=0)] | None = 60.0
    """So long at the power cap with less than half of the target: the pool is used up."""
    resolution_change: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The resolution (FRC) changed by less than this over the last tenth of the frames."""
    resolution_nm: Annotated[float, Field(gt=0)] | None = None
    """This resolution (FRC) is reached."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """So long; as acquisition.seconds, for each position."""
    dose: Annotated[float, Field(gt=0)] | None = None
    """So much power times seconds of the steered laser: an orderly end, unlike max_dose."""

    @property
    def ends_by_itself(self) -> bool:
        """True if there is a criterion that needs no steered laser."""
        return any((self.localizations, self.seconds, self.resolution_nm, self.resolution_change))

    @property
    def needs_resolution(self) -> bool:
        """True if the resolution has to be measured."""
        return self.resolution_nm is not None or self.resolution_change is not None


class FeedbackSettings(Settings):
    """The loop from emitter density to laser power. It only watches until it is armed."""

    laser: str | None = None
    """Name of the laser that is steered, one of [lasers]; not given means no loop."""
    arm: bool = False
    """Allow commands; needs --arm on the command line as well."""
    signal: Literal["mean", "local", "new"] = "mean"
    """What is held: emitters per frame and field area, the crowded part of the field (a high
    percentile of occupied tiles), or newly appearing emitters."""
    target_per_um2: float | tuple[Point, ...] = 0.1
    """Density to hold, or (seconds since start, density) points that it moves through."""
    max_local_per_um2: Annotated[float, Field(gt=0)] | None = None
    """Crowded tiles never get denser than this. Not given: 1 with a network, 0.3 with a fit."""
    tile_um: Annotated[float, Field(gt=0)] = 2.0
    """Side of a tile."""
    percentile: Annotated[float, Field(ge=50, le=100)] = 90.0
    """Which of the occupied tiles stands for the crowded part."""
    tick_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    """Time between decisions; at least ten frames."""
    gain: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Part of the logarithmic error that is corrected per tick."""
    smoothing: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Weight of the newest estimate in the running mean; 1 takes it alone."""
    dead_band: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Logarithmic error that is left alone."""
    max_rise: Annotated[float, Field(gt=0, le=2)] = 0.2
    """Most rise of the logarithm of the power per tick, 0.2 is 22 %."""
    max_fall: Annotated[float, Field(gt=0, le=5)] = 0.7
    """Most fall per tick."""
    feed_forward: bool = True
    """Start by a jump that a short test pulse allows to work out, then let the law take over."""
    tune: Literal["none", "step", "relay"] = "none"
    """Find gain by a step or a relay experiment at the start of the run."""
    watchdog_s: Annotated[float, Field(gt=0)] | None = None
    """Dark when no estimate has come for so long. Not given: three ticks, at least 3 s."""
    stop: StopSettings = StopSettings()
    """When it is done."""

    @model_validator(mode="after")
    def _target(self) -> FeedbackSettings:
        points = self.target_per_um2
        if isinstance(points, tuple):
            if not points:
                raise ValueError("target_per_um2 has no points")
            _ascending("target_per_um2", points)
        elif not 0 < points < 100:
            raise ValueError(f"target_per_um2 is {points:g}; it must lie above 0 and below 100")
        return self

    @property
    def silence_s(self) -> float:
        """How long without an estimate until the laser goes dark."""
        return self.watchdog_s if self.watchdog_s is not None else max(3 * self.tick_s, 3.0)


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
