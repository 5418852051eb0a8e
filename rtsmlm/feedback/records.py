"""What flows round the loop: estimates in, decisions out, and a row of audit for what was done."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

State = Literal["off", "test", "tune", "steer", "hold", "stopped"]
"""off: dark because the law wants no light; test: feed-forward pulse; tune: step or relay
experiment; steer: the law is in force; hold: the estimate cannot be used; stopped: for good."""

Event = Literal[
    "exhausted",
    "no response",
    "below thermal floor",
    "at cap",
    "crowded",
    "tuned",
    "target reached",
]
AS_WANTED: frozenset[Event] = frozenset({"tuned", "target reached"})
"""Events that are no reason to worry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityEstimate:
    """Emitter density over the frames of one tick, with what is needed to trust it or not."""

    first_frame: int
    last_frame: int
    n_frames: int
    """Frames that were counted; fewer than the range where some were skipped."""
    t_exposure_end_ns: int
    """When the exposure of the last frame ended, on the clock of `realtime.clock.now_ns`."""
    mean_per_um2: float
    """Emitters per frame and field area: the calibrated sum of probabilities."""
    std_per_um2: float
    """Standard deviation of `mean_per_um2` from counting; emitters that stay on are allowed for."""
    missed_std_per_um2: float = 0.0
    """Standard deviation of it from what localizers are taken to miss, the same tick after tick."""
    local_per_um2: float
    """High percentile of the occupied tiles; NaN where none is."""
    max_local_per_um2: float = math.inf
    """Densest place at which emitters can be told apart, as the localizer states."""
    new_per_um2: float
    """Emitters per frame and field area that were not there in the frame before."""
    unexplained: float
    """Part of the change from frame to frame that localizations do not explain, 0 to 1; NaN where
    nothing changes beyond noise."""
    crowded: bool
    """The alarm: light changes that detection does not account for, so counts are too low."""
    area_um2: float
    """Field area."""

    @property
    def per_frame(self) -> float:
        """Emitters per frame."""
        return self.mean_per_um2 * self.area_um2

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for the way between processes: None for NaN, and for no limit."""
        data = asdict(self)
        if math.isinf(self.max_local_per_um2):
            data["max_local_per_um2"] = None
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in data.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DensityEstimate:
        """Read plain data back."""
        known = {f.name: data[f.name] for f in fields(cls)}
        values: dict[str, Any] = {k: math.nan if v is None else v for k, v in known.items()}
        if known["max_local_per_um2"] is None:
            values["max_local_per_um2"] = math.inf
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the law wants."""

    power: float
    """Power of the laser in its own unit; 0 is off."""
    state: State
    reason: str
    """One clause for the audit file: what was seen, what is wanted."""
    event: Event | None = None
    """What happened in this tick that a person, or the run, has to know."""
    stop: bool = False
    """The acquisition is done."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """The resolution of all localizations up to a frame, in nm; NaN for what is not known."""

    frame: int = -1
    """Newest frame that counts; -1 before the first measurement."""
    resolution_nm: float = math.nan
    """By Fourier ring correlation (FRC)."""
    decorrelation_nm: float = math.nan
    """By decorrelation analysis of the image."""
    nyquist_nm: float = math.nan
    """What the density of localizations allows at best."""
    nena_nm: float = math.nan
    """Precision of the newest localizations, by those that repeat from frame to frame (NeNA)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldStatus:
    """The set point of stages that hold the sample, at one moment."""

    mode: str
    """move, or monitor: nothing is moved."""
    set_point_nm: Mapping[str, float]
    """By axis, from where the stage stood at the start."""
    state: Mapping[str, str]
    """By axis: what it does now, as one clause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStatus:
    """The loop at one moment, for a status line or a window."""

    laser: str
    unit: str
    power: float
    """Last power sent to the laser; 0 is off."""
    cap: float
    wanted: float
    """What the law asks for; the same as `power` once the laser follows."""
    armed: bool
    tripped: str | None
    state: str
    dose: float
    target_per_um2: float
    estimate: DensityEstimate | None
    powers: Mapping[str, float]
    """Of every laser, in its own unit."""
    not_dark: tuple[str, ...] = ()
    """Lasers that were switched off and are not confirmed dark."""
    data_age_s: float = math.nan
    """Age of the newest estimate: since the end of its last exposure; NaN before the first."""
    seen_dark: bool = False
    """Every laser of an armed run is off, and was seen dark."""
