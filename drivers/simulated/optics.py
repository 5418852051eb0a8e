"""The PSF of the simulated microscope: computed as deep as its sample is, or read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32
from rtsmlm.models.catalog import find_model
from rtsmlm.models.manifest import check_is_listed, load_manifest
from rtsmlm.physics.dye_psf import dye_psf
from rtsmlm.physics.phase_masks import MaskName, load_mask
from rtsmlm.physics.psf import F64, AstigmaticPsf, GaussianPsf, Psf, TablePsf
from rtsmlm.physics.psf_file import load_psf
from rtsmlm.physics.pupil import Optics, pupil_psf
from rtsmlm.physics.spectra import DYES

REACH_NM = 750.0
"""A PSF is computed so far to both sides of the focal plane, or as far as the sample reaches."""
BEYOND_NM = 250.0
"""And so much farther, for drift and a stage that moves."""
BOX_NM: dict[MaskName, float] = {"tetrapod": 4500.0, "double-helix": 5000.0}
"""Side of the image of a mask's spot: the lobes of a tetrapod lie up to 3.5 um apart, those of a
double helix 1.5 um, in a halo with a fifth of the light."""
DYE_BOX_NM, COLOUR_BOX_NM = 3000.0, 2750.0
"""The same for the spots of dyes, without a mask and through the one that was learned for them."""
MASK_MODEL, MASK_NAME = "hershko", "mask.npy"
"""Model whose mask the PSF colour-mask has, unless a file is named."""
WAVELENGTHS = 3
"""That the PSF of a dye is made of."""
SAME_PIXEL = 5e-3
"""Relative difference of two pixels that are meant to be the same."""


@dataclass(frozen=True, slots=True)
class DyePsfs:
    """The PSF of each dye of the sample."""

    each: tuple[Psf, ...]

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters of the first dye; see `rtsmlm.physics.psf.Psf`."""
        self.each[0].render(image, x_px, y_px, z_nm, photons)

    def render_dyes(
        self, image: F32, places: tuple[F64, F64, F64], photons: F64, dye: NDArray[np.uint8]
    ) -> None:
        """Add emitters of all dyes; `places` are x and y in pixels and z in nm, (n,) each."""
        for number, psf in enumerate(self.each):
            rows = dye == number
            x_px, y_px, z_nm = (column[rows] for column in places)
            psf.render(image, x_px, y_px, z_nm, photons[rows])


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
    half_nm = settings.depth_nm / 2 + abs(settings.focus_nm)
    if name == "dyes":
        return _of_dyes(settings, Optics(na=settings.na), half_nm + BEYOND_NM, DYE_BOX_NM)
    if name == "colour-mask":
        return _of_dyes(settings, _colour_optics(settings), half_nm + BEYOND_NM, COLOUR_BOX_NM)
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


def _of_dyes(
    settings: MicroscopeSettings, optics: Optics, reach_nm: float, box_nm: float
) -> DyePsfs:
    names = (settings.emission, *filter(None, [settings.second_emission]))
    return DyePsfs(
        tuple(
            dye_psf(
                DYES[name],
                optics,
                pixel_nm=settings.pixel_nm,
                z_nm=(-reach_nm, reach_nm),
                vectorial=optics.mask is None,
                wavelengths=WAVELENGTHS,
                box_px=2 * round(box_nm / settings.pixel_nm / 2) + 1,
            )
            for name in names
        )
    )


def _colour_optics(settings: MicroscopeSettings) -> Optics:
    """Return the optics with the mask that tells dyes apart."""
    path = Path(settings.psf_file)
    if not settings.psf_file:
        folder = find_model(MASK_MODEL)
        check_is_listed(load_manifest(folder), folder, MASK_NAME)
        path = folder / MASK_NAME
    return Optics(na=settings.na, wavelength_nm=settings.wavelength_nm, mask=load_mask(path))


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
