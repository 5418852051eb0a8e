"""What structured backgrounds are drawn from: one frozen section of a recipe."""

from __future__ import annotations

from pydantic import Field

from rtsmlm.models.simulation.ranges import LogSpan, Span
from rtsmlm.settings.base import Settings


class BackgroundRanges(Settings):
    """Shapes of backgrounds in boxes; levels, slopes and neighbours stand in `boxes`."""

    sigma_px: LogSpan | None = (0.8, 1.9)
    """Widths of the round Gaussian spots; not given takes the PSF of `optics`."""
    perlin_fraction: float = Field(default=0.75, ge=0, le=1)
    """Boxes whose background has Perlin noise."""
    scale_px: LogSpan = (4.0, 40.0)
    """Cells of the coarsest octave."""
    octaves: int = Field(default=4, ge=1, le=6)
    """Each next one has half the scale."""
    persistence: Span = (0.2, 0.8)
    """Strength of each next octave beside the one before."""
    contrast: LogSpan = (0.05, 0.6)
    """Root mean square of the noise over the level."""
    haze_fraction: float = Field(default=0.3, ge=0, le=1)
    """Boxes with a blurred cloud beside or over the emitter."""
    haze_px: LogSpan = (3.0, 12.0)
    """Standard deviation of a cloud."""
    haze_light: LogSpan = (0.1, 3.0)
    """Peak of a cloud over the level."""
