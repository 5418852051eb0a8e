"""What boxes and spectra of several dyes are drawn from: two frozen sections of a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from rtsmlm.models.simulation.ranges import LogSpan, Span
from rtsmlm.physics.spectra import DYES
from rtsmlm.settings.base import Settings


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in DYES]
    if unknown or len(set(names)) < max(len(names), 2):
        raise ValueError(f"two or more different dyes of {', '.join(DYES)} are needed: {names}")
    return names


DyeNames = Annotated[tuple[str, ...], AfterValidator(_known)]
"""Dyes whose spectra are known, at least two."""


class DyeBoxRanges(Settings):
    """Boxes around one emitter each, of one dye of several; their optics are those of `[optics]`.

    The wavelength of the optics has no effect: each dye has its own spectrum.
    """

    names: DyeNames = ("mEos3.2", "AF647")
    box_px: int = Field(default=13, ge=7)
    wavelengths: int = Field(default=5, ge=1)
    """PSFs that make up that of a dye, each with the same part of its photons."""
    offset_px: float = Field(default=0.6, gt=0)
    """Largest distance of the emitter from the centre of the box, along each axis."""
    z_nm: Span = (0.0, 600.0)
    photons: LogSpan = (1000.0, 20000.0)
    background: LogSpan = (2.0, 100.0)
    """Photons per pixel."""
    slope: float = Field(default=0.2, ge=0)
    """Largest relative change of the background from the centre to a side."""
    neighbour_fraction: float = Field(default=0.1, ge=0, le=1)
    """A second emitter outside the middle."""
    read_noise_e: LogSpan = (0.7, 3.0)


class SpectrumRanges(Settings):
    """First-order spectra, one dye each, as they are cut out of frames."""

    names: DyeNames = ("AF647", "CF660C", "CF680")
    rows: int = Field(default=7, ge=3)
    """Height of a spectrum in pixels."""
    samples: int = Field(default=201, ge=8)
    """Wavelengths of a spectrum, at equal distances."""
    wavelengths_nm: Span = (600.0, 800.0)
    """The first and the last of them."""
    disperser: Literal["grating", "prism"] = "grating"
    nm_per_px: Span = (4.0, 6.0)
    """Dispersion at the reference wavelength."""
    reference_nm: float = Field(default=690.0, gt=0)
    sigma_px: Span = (1.1, 1.5)
    """Width of the PSF."""
    photons: LogSpan = (300.0, 10000.0)
    """In the whole spectrum."""
    background: LogSpan = (1.0, 30.0)
    """Photons per pixel."""
    slope: float = Field(default=0.2, ge=0)
    """Largest relative change of the background from the middle to either end."""
    shift_nm: float = Field(default=2.0, ge=0)
    """Standard deviation of the wavelength at which a molecule of a dye shines."""
    place_error_px: float = Field(default=0.15, ge=0)
    """Standard deviation of the place of the reference wavelength, as localization and transform
    leave it."""
    neighbour_fraction: float = Field(default=0.15, ge=0, le=1)
    """Spectra on which that of another molecule lies."""
    read_noise_e: LogSpan = (0.7, 2.0)
