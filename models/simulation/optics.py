"""Sections of a recipe on optics: the PSF of a network that is trained for one."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from rtsmlm.physics.phase_masks import MASKS, named_mask
from rtsmlm.physics.pupil import Optics
from rtsmlm.settings.base import Settings

Mode = tuple[int, int]


class ZernikeEntry(Settings):
    """One aberration that is always there."""

    n: int = Field(ge=0)
    m: int
    """Azimuthal order; negative takes the sine."""
    rms_nm: float
    """Wavefront error, root mean square."""


class OpticsSection(Settings):
    """Objective, media, camera pixel and the aberrations that are always there."""

    pixel_nm: float = Field(default=100.0, gt=0)
    na: float = Field(default=1.4, gt=0)
    wavelength_nm: float = Field(default=670.0, gt=0)
    n_medium: float = Field(default=1.33, ge=1)
    n_immersion: float = Field(default=1.518, ge=1)
    depth_nm: float = Field(default=500.0, ge=0)
    """Distance of the focal plane from the cover glass."""
    vectorial: bool = True
    """Dipoles; otherwise a scalar wave."""
    zernikes: tuple[ZernikeEntry, ...] = (ZernikeEntry(n=2, m=2, rms_nm=70.0),)

    mask: str | None = None
    """Phase mask: tetrapod, double-helix, or an npy file of radians over the pupil."""

    @property
    def mask_is_file(self) -> bool:
        """Whether the phase mask is read from a file."""
        return self.mask is not None and self.mask not in MASKS

    def beside(self, folder: Path) -> OpticsSection:
        """Return the section with the mask of a folder, where it is there."""
        if self.mask is None or not self.mask_is_file or not (folder / self.mask).is_file():
            return self
        return self.model_copy(update={"mask": str((folder / self.mask).resolve())})

    def optics(self) -> Optics:
        """Return what the PSF is computed of."""
        return Optics(
            na=self.na,
            wavelength_nm=self.wavelength_nm,
            n_medium=self.n_medium,
            n_immersion=self.n_immersion,
            depth_nm=self.depth_nm,
            zernike_nm={(entry.n, entry.m): entry.rms_nm for entry in self.zernikes},
            mask=None if self.mask is None else named_mask(self.mask),
        )
