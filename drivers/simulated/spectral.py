"""A grating before the camera: the spots of the zeroth order, beside them the spectra of the first.

The left half of the chip shows the zeroth order. In the right half light of each wavelength is
displaced along the rows, in proportion to the wavelength; that of `REFERENCE_NM` lies where the
transform says.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.drivers.simulated.truth import FrameTruth
from rtsmlm.localizations import F32
from rtsmlm.physics.psf import Psf
from rtsmlm.physics.spectra import DYES, Grating
from rtsmlm.physics.transforms import F64, PlaneTransform
from rtsmlm.physics.views import View, Views, split

NAMES = ("spots", "spectra")
REFERENCE_NM = 690.0
TO_SPOTS = PlaneTransform((1.5, 0.998, 0.004), (-1.2, -0.004, 0.998))
"""From where light of the reference wavelength falls in the right half to the spot."""
SPOT_SHARE = 0.4
"""Part of the photons in the zeroth order; all others are in the first."""
STRAY_SHARE = 0.5
"""Of the background in each half."""
STEPS_PER_PX = 1.0
"""Wavelengths that a spectrum is drawn of: less than the width of a spot apart."""


@lru_cache(maxsize=4)
def spectral_views(settings: MicroscopeSettings) -> Views:
    """Return the views of the chip: the spots and their spectra."""
    regions = split((settings.height, settings.width), "x", NAMES)
    return Views((View(NAMES[0], regions[0]), View(NAMES[1], regions[1], TO_SPOTS)))


@lru_cache(maxsize=4)
def dispersed(settings: MicroscopeSettings) -> tuple[tuple[F64, F64], ...]:
    """Return displacements in pixels and shares of light of each dye, (k,) each."""
    grating = Grating(settings.dispersion_nm_per_px, REFERENCE_NM)
    found = []
    for name in (settings.emission, *filter(None, [settings.second_emission])):
        spectrum = DYES[name]
        first, last = grating.displacement_px(spectrum.wavelength_nm[[0, -1]])
        place_px = np.linspace(first, last, int(np.ceil((last - first) * STEPS_PER_PX)) + 1)
        light = spectrum.at(grating.wavelength_nm(place_px))
        found.append((place_px[light > 0.0], light[light > 0.0] / light.sum()))
    return tuple(found)


def draw_spectral(
    settings: MicroscopeSettings, psf: Psf, stray_light: F32, truth: FrameTruth
) -> F32:
    """Return the expected photons of the whole chip; see `rtsmlm.drivers.simulated.views`."""
    image = np.zeros((settings.height, settings.width), dtype=np.float32)
    spots, spectra = spectral_views(settings)
    places = np.stack([truth.x_nm, truth.y_nm], axis=1) / settings.pixel_nm
    part = stray_light * np.float32(STRAY_SHARE)
    psf.render(part, *_columns(places), truth.z_nm, SPOT_SHARE * truth.photons)
    _put(image, spots, part)
    part = stray_light * np.float32(STRAY_SHARE)
    moved = spectra.from_first(places)
    for number, (displacement_px, share) in enumerate(dispersed(settings)):
        rows = np.flatnonzero(truth.dye == number)
        x = (moved[rows, 0][:, None] + displacement_px).ravel()
        y, z = (np.repeat(column[rows], len(share)) for column in (moved[:, 1], truth.z_nm))
        photons = ((1.0 - SPOT_SHARE) * truth.photons[rows][:, None] * share).ravel()
        psf.render(part, x, y, z, photons)
    _put(image, spectra, part)
    return image


def _put(image: F32, view: View, part: F32) -> None:
    left, top, width, height = view.region
    image[top : top + height, left : left + width] = part


def _columns(places: F64) -> tuple[F64, F64]:
    return np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])
