"""Settings of the dispersed view: how far light of each wavelength lies from the reference."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from rtsmlm.physics.spectra import Dispersion, Grating, Prism
from rtsmlm.settings.base import Settings


class SpectrumSettings(Settings):
    """A grating or prism that puts the spectrum of each molecule beside its spot.

    The spots are the first of `channels.views`, the spectra the second. What that view's transform
    leads to is where light of the reference wavelength falls; others lie along the rows.
    """

    disperser: Literal["grating", "prism"] = "grating"
    """What disperses: a grating in proportion to the wavelength, a prism less at long ones."""
    nm_per_px: float = Field(default=5.0, gt=0)
    """Nanometres of wavelength per camera pixel, at the reference wavelength."""
    reference_nm: float = Field(default=690.0, gt=200, lt=2000)
    """Wavelength of the light that beads and filter of the calibration of the views had."""

    def dispersion(self) -> Dispersion:
        """Return where light of each wavelength falls."""
        kind = Grating if self.disperser == "grating" else Prism
        return kind(self.nm_per_px, self.reference_nm)
