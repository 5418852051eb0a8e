"""Events of the analysis that tell how it got ready, and which localizer is in force."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Preparing:
    """What is being loaded or compiled before the first frame may come."""

    step: str
    done: int
    """Steps that are done."""
    total: int
    """All steps, as far as they are known by now."""
    function: str = ""
    """What is being compiled in it, on the first run of a version."""


@dataclass(frozen=True, slots=True)
class Informed:
    """One sentence on what went as it was wanted."""

    text: str


@dataclass(frozen=True, slots=True)
class CameraMeasured:
    """What the first frames say of the camera is in force; wrong pixels are in their file."""

    from_frame: int = 0
    """Frames before this one were localized without."""
    has_wrong_pixels: bool = False
    """Whether pixels are masked."""
    e_per_adu: float = math.nan
    """Electrons per ADU; NaN where it stays as it was."""
    offset_adu: float = math.nan
    """Camera value in the dark; NaN where it stays as it was."""

    @property
    def values(self) -> dict[str, float]:
        """Gain and dark value that are new, by the names of their settings."""
        both = {"e_per_adu": self.e_per_adu, "offset_adu": self.offset_adu}
        return {name: value for name, value in both.items() if math.isfinite(value)}


@dataclass(frozen=True, slots=True)
class LocalizerInForce:
    """The localizer of all frames from one on, until another one is in force."""

    from_frame: int
    name: str
    """As in `localizer.name`; what `auto` stands for."""
    label: str
    """Name with engine and precision."""
    psf_sigma_nm: float
    """PSF width that it localizes with."""
    reason: str = ""
    """Why it took over; empty for the first one."""
    frames_per_s: float = math.nan
    """Rate that was measured here before the run, on simulated frames; NaN where it was not."""
    camera_frames_per_s: float = math.nan
    """Rate of the camera that it was compared with; NaN where it is not known."""

    def as_dict(self) -> dict[str, object]:
        """Return what is known of it as plain data."""
        return {k: v for k, v in asdict(self).items() if v != "" and v == v}  # NaN is unlike itself
