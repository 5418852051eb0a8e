"""What lists of localizations are drawn from: one frozen section of a recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rtsmlm.models.simulation.ranges import LogSpan, Span
from rtsmlm.settings.base import Settings

KnownStructure = Literal["filaments", "mitochondria", "nuclear-pores"]
"""What networks of localizations learn to complete."""


class ListRanges(Settings):
    """What lists of localizations are drawn from; fractions are probabilities per list."""

    structures: tuple[KnownStructure, ...] = ("filaments", "mitochondria", "nuclear-pores")
    """What is learned, in the order in which the network is given it."""
    others: tuple[KnownStructure, ...] = ()
    """What other colours show, a part of whose localizations is counted in the channel."""
    crosstalk: Span = (0.0, 0.2)
    """That part."""
    side_px: int = Field(default=256, ge=64)
    """Of an image."""
    pixel_nm: float = Field(default=20.0, gt=0)
    share: LogSpan = (0.01, 0.3)
    """Part of the frames whose localizations are given."""
    filament_draws: int = Field(default=4, ge=1)
    """Most times that a network of filaments is laid over another one."""
    labels_per_um: LogSpan = (50.0, 160.0)
    """Labels along a filament."""
    labels_per_um2: LogSpan = (150.0, 600.0)
    """Labels on the membrane of mitochondria."""
    pores_per_um2: LogSpan = (1.0, 8.0)
    label_share: Span = (0.5, 1.0)
    """Part of the places of a pore that bears a label."""
    blinks: Span = (2.0, 7.0)
    """Mean number of times that a label is seen."""
    frames_on: Span = (1.0, 2.2)
    """Mean number of frames of each: as many localizations of the same place."""
    precision_nm: LogSpan = (6.0, 20.0)
    """Standard deviation of a localization of the usual light."""
    light_spread: float = Field(default=0.4, ge=0)
    """Standard deviation of the logarithm of the precision within a list."""
    false_share: Span = (0.0, 0.08)
    """Localizations anywhere that show nothing, as a part of the right ones."""
    blur_nm: float = Field(default=20.0, gt=0)
    """Standard deviation with which a localization is drawn in the whole image."""
    widefield_fraction: float = Field(default=0.0, ge=0, le=1)
    """Images to which the widefield image of the same place is given, too."""
    widefield_nm: Span = (110.0, 160.0)
    """Standard deviation of its PSF."""
