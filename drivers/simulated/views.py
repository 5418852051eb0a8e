"""Two views on one chip: a dichroic mirror puts short and long wavelengths beside each other.

The sample fills the left half of the chip, which shows what the mirror reflects; the right half
shows what passes, shifted, turned, a little larger and distorted, as behind lenses of its own.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rtsmlm.drivers.simulated.optics import DyePsfs
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.drivers.simulated.spectral import draw_spectral
from rtsmlm.drivers.simulated.truth import FrameTruth
from rtsmlm.localizations import F32
from rtsmlm.physics.psf import Psf
from rtsmlm.physics.spectra import DYES, dichroic, split_fractions
from rtsmlm.physics.transforms import F64, PlaneTransform
from rtsmlm.physics.views import View, Views, split

NAMES = ("short", "long")
TO_FIRST = PlaneTransform(
    (1.8, 0.997, 0.006, 8e-6, -6e-6, 5e-6), (-2.4, -0.006, 0.996, -5e-6, 8e-6, 6e-6)
)
"""From the right half to the left one: some pixels, a third of a degree, four parts in a
thousand."""
STRAY_SHARE = 0.5
"""Of the background in each view: it has light of all colours."""


@lru_cache(maxsize=4)
def views_of(settings: MicroscopeSettings) -> Views:
    """Return the views of the chip."""
    regions = split((settings.height, settings.width), "x", NAMES)
    return Views((View(NAMES[0], regions[0]), View(NAMES[1], regions[1], TO_FIRST)))


@lru_cache(maxsize=4)
def dye_fractions(settings: MicroscopeSettings) -> F64:
    """Return the share of the light of each dye in each view, shape (dyes, 2)."""
    mirror = dichroic(settings.dichroic_nm, settings.dichroic_width_nm)
    names = [settings.emission, *filter(None, [settings.second_emission])]
    return np.array([split_fractions(DYES[name], mirror) for name in names])


def draw_chip(settings: MicroscopeSettings, psf: Psf, stray_light: F32, truth: FrameTruth) -> F32:
    """Return the expected photons of the whole chip, shape (height, width).

    Parameters
    ----------
    settings
        Chip, dyes and mirror.
    psf
        The same in both views.
    stray_light
        Background and haze where the sample is, all views together; may be written.
    truth
        Where the emitters are, and their photons in all views together.
    """
    x, y = truth.x_nm / settings.pixel_nm, truth.y_nm / settings.pixel_nm
    if isinstance(psf, DyePsfs):
        psf.render_dyes(stray_light, (x, y, truth.z_nm), truth.photons, truth.dye)
        return stray_light
    if settings.views == 2 and settings.dispersion_nm_per_px > 0.0:
        return draw_spectral(settings, psf, stray_light, truth)
    if settings.views == 1:
        psf.render(stray_light, x, y, truth.z_nm, truth.photons)
        return stray_light
    image = np.zeros((settings.height, settings.width), dtype=np.float32)
    fractions, places = dye_fractions(settings), np.stack([x, y], axis=1)
    for k, view in enumerate(views_of(settings)):
        part = stray_light * np.float32(STRAY_SHARE)
        x, y = np.ascontiguousarray(view.from_first(places).T)
        psf.render(part, x, y, truth.z_nm, truth.photons * fractions[truth.dye, k])
        left, top, width, height = view.region
        image[top : top + height, left : left + width] = part
    return image
