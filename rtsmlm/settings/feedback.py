"""Settings of the closed loop: target, limits, and when the acquisition is done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rtsmlm.errors import ConfigError
from rtsmlm.settings.base import LONGEST_S, Settings
from rtsmlm.settings.lasers import Point, _ascending

MOST_PER_UM2 = 100.0
"""Emitters in one frame stand 100 nm apart then: less than half the width of any PSF of light."""


def checked_target(per_um2: float) -> float:
    """Return a density that a loop can hold; 0 keeps the laser dark.

    Raises
    ------
    ConfigError
        If it is no number from 0 to below `MOST_PER_UM2`.
    """
    if not 0 <= per_um2 < MOST_PER_UM2:  # false for NaN too
        raise ConfigError(
            f"a target of {per_um2:g} per µm² cannot be held; it must be a number from 0 to below "
            f"{MOST_PER_UM2:g} (feedback.target_per_um2)"
        )
    return per_um2


def checked_gain(gain: float) -> float:
    """Return a part of the logarithmic error that can be corrected per tick.

    Raises
    ------
    ConfigError
        If it is not above 0 and at most 1.
    """
    if not 0 < gain <= 1:
        raise ConfigError(f"a gain of {gain:g} is not above 0 and at most 1 (feedback.gain)")
    return gain


class StopSettings(Settings):
    """When an acquisition, or one position of it, is done. What is not given never ends it."""

    localizations: Annotated[int, Field(gt=0)] | None = None
    """So many localizations."""
    exhausted_s: Annotated[float, Field(gt=0, le=LONGEST_S)] | None = 60.0
    """So long at the power cap with less than half of the target: the pool is used up."""
    resolution_change: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The resolution (FRC) changed by less than this over the last tenth of the frames."""
    resolution_nm: Annotated[float, Field(gt=0)] | None = None
    """This resolution (FRC) is reached."""
    seconds: Annotated[float, Field(gt=0, le=LONGEST_S)] | None = None
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
    """Crowded tiles never get denser than this. Not given: as the localizer states, 1 for our
    networks, 0.3 for fits."""
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
    watchdog_s: Annotated[float, Field(gt=0, le=LONGEST_S)] | None = None
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
        wanted = [density for _, density in points] if isinstance(points, tuple) else [points]
        try:
            wanted = [checked_target(density) for density in wanted]
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if not any(wanted):
            raise ValueError("target_per_um2 is 0; it must lie above 0")
        return self

    @property
    def silence_s(self) -> float:
        """How long without an estimate until the laser goes dark."""
        return self.watchdog_s if self.watchdog_s is not None else max(3 * self.tick_s, 3.0)
