"""The PSF of the simulated microscope: computed as deep as its sample is, or read from a file."""

from __future__ import annotations

from pathlib import Path

from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.errors import ConfigError
from rtsmlm.physics.phase_masks import MaskName
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf, TablePsf
from rtsmlm.physics.psf_file import load_psf
from rtsmlm.physics.pupil import Optics, pupil_psf

REACH_NM = 750.0
"""A PSF is computed so far to both sides of the focal plane, or as far as the sample reaches."""
BEYOND_NM = 250.0
"""And so much farther, for drift and a stage that moves."""
BOX_NM: dict[MaskName, float] = {"tetrapod": 4500.0, "double-helix": 3000.0}
"""Side of the image of a mask's spot: the lobes of a tetrapod lie up to 3.5 um apart."""
SAME_PIXEL = 5e-3
"""Relative difference of two pixels that are meant to be the same."""


def make_psf(settings: MicroscopeSettings) -> Psf:
    """Return the PSF that the settings ask for.

    Raises
    ------
    ConfigError
        If its file is not named, or made for another camera pixel.
    FileFormatError
        If its file cannot be read.
    """
    name = settings.psf
    if name == "gaussian":
        return GaussianPsf(settings.psf_sigma_nm / settings.pixel_nm)
    if name == "astigmatic":
        return AstigmaticPsf(pixel_nm=settings.pixel_nm, sigma0_nm=settings.psf_sigma_nm)
    if name == "file":
        return _stored(settings)
    half_nm = settings.depth_nm / 2
    reach_nm = max(REACH_NM, half_nm + BEYOND_NM)
    if name == "tetrapod" or name == "double-helix":
        box_px = 2 * round(BOX_NM[name] / settings.pixel_nm / 2) + 1
        optics = Optics(
            na=settings.na,
            wavelength_nm=settings.wavelength_nm,
            depth_nm=max(half_nm, REACH_NM),
            mask=name,
        )
        # A double helix turns by 5 degrees within 25 nm.
        step_nm = 50.0 if name == "tetrapod" else 25.0
        return pupil_psf(
            optics, pixel_nm=settings.pixel_nm, vectorial=True, z_range_nm=reach_nm,
            z_step_nm=step_nm, box_px=box_px, fine_per_px=4,
        )  # fmt: skip
    zernike_nm = {(2, 2): settings.astigmatism_nm}
    if name == "aberrated":
        zernike_nm |= dict.fromkeys(((3, 1), (4, 0), (3, 3)), settings.aberration_nm)
    optics = Optics(na=settings.na, wavelength_nm=settings.wavelength_nm, zernike_nm=zernike_nm)
    return pupil_psf(
        optics, pixel_nm=settings.pixel_nm, vectorial=name != "scalar", z_range_nm=reach_nm
    )


def _stored(settings: MicroscopeSettings) -> TablePsf:
    if not settings.psf_file:
        raise ConfigError(
            "simulated microscope: psf is file, but psf_file is empty; name a PSF file, as "
            "rtsmlm calibrate psf --table writes it"
        )
    stored = load_psf(Path(settings.psf_file))
    if abs(stored.pixel_nm / settings.pixel_nm - 1.0) > SAME_PIXEL:
        raise ConfigError(
            f"simulated microscope: {settings.psf_file} is for pixels of {stored.pixel_nm:g} nm, "
            f"the camera has {settings.pixel_nm:g} nm; set pixel_nm (PixelSize_nm) to that"
        )
    return stored.table
