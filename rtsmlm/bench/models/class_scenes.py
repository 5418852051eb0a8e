"""Boxes and spectra of dyes, as the benchmark draws them, and what can be known of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rtsmlm.bench.models.class_figures import ALLOWED, DEPTH_BOUND, F64, KNOWN, Dyes, rms
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.engines.class_networks import NetworkClasses
from rtsmlm.errors import ConfigError
from rtsmlm.fitting.spectrum_boxes import cut_spectra
from rtsmlm.localizations import F32
from rtsmlm.models.simulation.dye_ranges import DyeBoxRanges, SpectrumRanges
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.physics.dye_information import dye_bounds
from rtsmlm.physics.dye_psf import dye_psf
from rtsmlm.physics.gaussian import pixel_integrals
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.spectra import DYES, Dispersion, Grating, Prism

BACKGROUND = {"photons": 20.0, "spectrum": 10.0}
"""Photons per pixel, of boxes and of spectra."""
READ_NOISE_E = 1.0
REACH_PX = 0.5
"""Emitters lie within the middle pixel, as a localizer leaves them."""
WAVELENGTHS = 9
"""More than the training takes for a PSF."""
N_BOUNDS = 100
SPECTRUM_STEP_NM = 1.0
MARGIN_PX = 10
OFFSET_ADU = np.float32(100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSet:
    """What a network is given, and what is true."""

    given: F32
    """(n, height, width)."""
    dye: Dyes
    z_nm: F64 | None = None
    bounds: dict[str, float] = field(default_factory=dict)
    """Figures of what the photons allow."""


def dye_boxes(entrant: Entrant, rng: np.random.Generator, n: int, photons: float) -> ClassSet:
    """Return boxes of lone emitters with the optics and the dyes that a network states.

    Raises
    ------
    ConfigError
        If its manifest does not state them.
    """
    recipe = _recipe(entrant, "dyes")
    ranges = DyeBoxRanges.model_validate(recipe["dyes"])
    optics = OpticsSection.model_validate(recipe["optics"])
    psfs = [
        dye_psf(
            DYES[name], optics.optics(), pixel_nm=optics.pixel_nm, z_nm=ranges.z_nm,
            vectorial=optics.vectorial, wavelengths=WAVELENGTHS,
        )
        for name in ranges.names
    ]  # fmt: skip
    dye = rng.integers(len(psfs), size=n)
    x, y = rng.uniform(-REACH_PX, REACH_PX, (2, n))
    z = rng.uniform(*ranges.z_nm, n)
    background, side = BACKGROUND["photons"], ranges.box_px
    mean = np.full((n, side, side), background, dtype=np.float32)
    middle = (side - 1) / 2.0
    for k in range(n):
        at = np.array([[x[k] + middle], [y[k] + middle], [z[k]]])
        psfs[dye[k]].render(mean[k], *at, np.array([photons]))
    return ClassSet(
        given=_noisy(rng, mean),
        dye=dye,
        z_nm=z,
        bounds=_bounds(psfs, ranges, (dye, x, y, z), photons, background),
    )


def _bounds(
    psfs: list[TablePsf],
    ranges: DyeBoxRanges,
    places: tuple[Dyes, F64, F64, F64],
    photons: float,
    background: float,
) -> dict[str, float]:
    found = [
        dye_bounds(
            psfs, int(dye), (float(x), float(y), float(z)), photons, background,
            z_nm=ranges.z_nm, box_px=ranges.box_px, read_variance=READ_NOISE_E**2,
        )
        for dye, x, y, z in zip(*(column[:N_BOUNDS] for column in places), strict=True)
    ]  # fmt: skip
    upper = places[3][: len(found)] > sum(ranges.z_nm) / 2.0
    return {
        ALLOWED: 100.0 * float(np.mean([one.right for one in found])),
        KNOWN: 100.0 * float(np.mean([one.right_if_known for one in found])),
        DEPTH_BOUND: rms(np.array([one.z_nm for one in found])[upper]),
    }


def dye_spectra(
    entrant: Entrant, rng: np.random.Generator, n: int, photons: float, dyes: int | None
) -> ClassSet:
    """Return spectra of lone molecules, of the first dyes that a network states.

    Parameters
    ----------
    entrant
        The network.
    rng
        Draws all.
    n
        Number of spectra.
    photons
        In each.
    dyes
        How many dyes; None takes all.

    Raises
    ------
    ConfigError
        If its manifest does not state them.
    """
    ranges = SpectrumRanges.model_validate(_recipe(entrant, "spectra")["spectra"])
    names, nm_per_px = ranges.names[:dyes], sum(ranges.nm_per_px) / 2.0
    kind = Grating if ranges.disperser == "grating" else Prism
    dispersion: Dispersion = kind(nm_per_px, ranges.reference_nm)
    samples_nm = np.linspace(*ranges.wavelengths_nm, ranges.samples)
    before = MARGIN_PX - int(np.floor(dispersion.displacement_px(samples_nm[0])))
    width = before + MARGIN_PX + int(np.ceil(dispersion.displacement_px(samples_nm[-1])))
    dye = rng.integers(len(names), size=n)
    x, y = before + rng.uniform(-0.5, 0.5, n), ranges.rows + rng.uniform(-0.5, 0.5, n)
    sigma_px = sum(ranges.sigma_px) / 2.0
    height = 2 * ranges.rows + 1
    frames = np.empty((n, height, width), dtype=np.uint16)
    for k in range(n):
        spectrum = DYES[names[dye[k]]].moved(ranges.shift_nm * rng.normal())
        nm = np.arange(spectrum.wavelength_nm[0], spectrum.wavelength_nm[-1], SPECTRUM_STEP_NM)
        columns = _line(x[k] + dispersion.displacement_px(nm), spectrum.at(nm), sigma_px, width)
        rows = _line(np.array([y[k]]), np.ones(1), sigma_px, height)
        mean = photons * np.outer(rows, columns) + BACKGROUND["spectrum"]
        frames[k] = np.maximum(np.rint(_noisy(rng, mean) + OFFSET_ADU), 0.0)
    frames.flags.writeable = False
    flat = np.ones((height, width), dtype=np.float32)
    given, inside = np.empty((n, ranges.rows, ranges.samples), np.float32), np.empty(n, np.bool_)
    known = x + ranges.place_error_px * rng.normal(size=n)
    cut_spectra(
        frames, OFFSET_ADU * flat, flat, np.arange(n, dtype=np.int32), known, y,
        dispersion.displacement_px(samples_nm), given, inside,
    )  # fmt: skip
    return ClassSet(given=given, dye=dye)


def _line(place_px: F64, light: F64, sigma_px: float, n: int) -> F64:
    """Return the light along a line of pixels of Gaussians at some places; its sum is 1."""
    line, part = np.zeros(n), np.empty((3, n))
    for place, weight in zip(place_px, light / light.sum(), strict=True):
        pixel_integrals(float(place), sigma_px, part)
        line += weight * part[0]
    return line


def _noisy(rng: np.random.Generator, mean: F32 | F64) -> F32:
    read = rng.normal(scale=READ_NOISE_E, size=mean.shape)
    return (rng.poisson(mean) + read).astype(np.float32)


def _recipe(entrant: Entrant, section: str) -> dict[str, dict[str, object]]:
    recipe = {} if entrant.manifest is None else entrant.manifest.training.recipe
    if section not in recipe:
        raise ConfigError(
            f"the manifest of {entrant.label} does not state the {section} of its training "
            f"(training.recipe.{section})"
        )
    return recipe


def network_of(entrant: Entrant, engine: str) -> NetworkClasses:
    """Return the network of an entrant, which decides on every row.

    Raises
    ------
    ConfigError
        If it is a fit.
    """
    if entrant.folder is None:
        raise ConfigError(f"{entrant.label} tells no dyes")
    return NetworkClasses(entrant.folder, engine, min_probability=0.0)
