"""Boxes and spectra as they are drawn for one microscope: a recipe with its camera and its PSF."""

from __future__ import annotations

import hashlib

from rtsmlm.errors import ConfigError
from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.training.adapted_sections import (
    SIGMA_ERROR,
    WIDTH_ALONE,
    noise_of,
    optics_on_pixels,
    psf_with_depth,
)
from rtsmlm.models.training.microscope import Microscope
from rtsmlm.models.training.pupil_of_psf import optics_of_psf
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.psf_file import StoredPsf

DISPERSION_ERROR = 0.02
"""Relative error of a measured dispersion."""
_found: dict[tuple[object, ...], OpticsSection] = {}
"""The pupil that was retrieved last, which takes a while."""


def boxes_of_camera(ranges: BoxRanges, microscope: Microscope) -> BoxRanges:
    """Return the ranges of boxes with the camera of a microscope alone."""
    if not microscope.has_camera:
        return ranges
    noise = noise_of(microscope)
    noise.pop("ideal_fraction")
    return ranges.model_copy(update=noise)


def on_boxes(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of boxes for the PSF and camera of a microscope.

    Networks of boxes state aberrations, so that their PSF is a pupil: that of the microscope is
    retrieved from its table or curves.

    Raises
    ------
    ConfigError
        If it says nothing of pixel, camera and PSF, or no pupil draws its PSF.
    """
    recipe = recipe.model_copy(
        update={
            "boxes": boxes_of_camera(recipe.boxes, microscope),
            "optics": optics_on_pixels(recipe, microscope),
        }
    )
    stored = psf_with_depth(recipe, microscope)
    if stored is not None:
        optics = _pupil_of(stored, recipe.optics, recipe.boxes.z_nm)
        return recipe.model_copy(update={"optics": optics})
    if microscope.pixel_nm is None and not microscope.has_camera:
        raise ConfigError(WIDTH_ALONE.format(name=recipe.name))
    return recipe


def on_backgrounds(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of boxes whose background is found, for the PSF and camera of a microscope.

    A width draws round spots; a table or curves take the place of them, and are a pupil then.

    Raises
    ------
    ConfigError
        If it says nothing of pixel, camera and PSF, or no pupil draws its PSF.
    """
    if microscope.psf_file is not None or microscope.curves is not None:
        backgrounds = recipe.backgrounds.model_copy(update={"sigma_px": None})
        return on_boxes(recipe.model_copy(update={"backgrounds": backgrounds}), microscope)
    boxes = boxes_of_camera(recipe.boxes, microscope)
    if microscope.sigma_nm is None:
        if not microscope.has_camera:
            raise ConfigError(
                f"{recipe.name} cannot be adapted without camera and PSF: give camera.toml of "
                "rtsmlm calibrate camera and psf.toml of rtsmlm calibrate psf with -c"
            )
        return recipe.model_copy(update={"boxes": boxes})
    backgrounds = recipe.backgrounds.model_copy(update={"sigma_px": _width_px(recipe, microscope)})
    return recipe.model_copy(update={"boxes": boxes, "backgrounds": backgrounds})


def on_dyes(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of boxes of several dyes for the pixel, camera and lens of a microscope.

    The width of a PSF is that of its dye, so that none is taken; a table says which aberrations
    the lens has.

    Raises
    ------
    ConfigError
        If it states none of these, or no pupil draws its PSF.
    """
    stored = psf_with_depth(recipe, microscope)
    if stored is None and microscope.pixel_nm is None and microscope.read_noise_e is None:
        raise ConfigError(
            f"{recipe.name} cannot be adapted to the width of a PSF, which tells it the dye: state "
            "camera.pixel_nm and camera.read_noise_e in a file that is given with -c, or give a "
            "table of rtsmlm calibrate psf --table with --psf"
        )
    optics = optics_on_pixels(recipe, microscope)
    if stored is not None:
        optics = _pupil_of(stored, recipe.optics, recipe.dyes.z_nm)
    dyes = recipe.dyes.model_copy(update=_read_noise(microscope))
    return recipe.model_copy(update={"dyes": dyes, "optics": optics})


def on_spectra(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of spectra for the PSF, camera and disperser of a microscope.

    Raises
    ------
    ConfigError
        If it states none of these.
    """
    update: dict[str, object] = _read_noise(microscope)
    if microscope.sigma_nm is not None:
        update["sigma_px"] = _width_px(recipe, microscope)
    if microscope.spectrum is not None:
        at = microscope.spectrum
        update |= {
            "disperser": at.disperser,
            "reference_nm": at.reference_nm,
            "nm_per_px": _around(at.nm_per_px, DISPERSION_ERROR),
        }
    if not update:
        raise ConfigError(
            f"{recipe.name} cannot be adapted without the width of the PSF, the read noise or the "
            "disperser: state psf.sigma_nm, camera.read_noise_e or spectrum.nm_per_px in a file "
            "that is given with -c"
        )
    return recipe.model_copy(update={"spectra": recipe.spectra.model_copy(update=update)})


def _pupil_of(stored: StoredPsf, optics: OpticsSection, z_nm: tuple[float, float]) -> OpticsSection:
    """Return the optics that draw a PSF, on its pixels."""
    on_pixels = optics.model_copy(update={"pixel_nm": stored.pixel_nm})
    table = stored.table
    seen = hashlib.sha256(table.sums.tobytes()).hexdigest()
    key = (seen, table.z_first_nm, table.z_step_nm, on_pixels.model_dump_json(), z_nm)
    if key not in _found:
        _found.clear()
        _found[key] = optics_of_psf(table, on_pixels, z_nm)[0]
    return _found[key]


def _read_noise(microscope: Microscope) -> dict[str, object]:
    """Return the read noise that is drawn, where it is stated and no EM gain makes it small."""
    noise = noise_of(microscope)
    return {"read_noise_e": noise["read_noise_e"]} if "read_noise_e" in noise else {}


def _width_px(recipe: Recipe, microscope: Microscope) -> tuple[float, float]:
    """Return the widths near that of a PSF."""
    sigma_nm = microscope.sigma_nm or 0.0
    return _around(sigma_nm / microscope.needed_pixel_nm(recipe.name), SIGMA_ERROR)


def _around(value: float, error: float) -> tuple[float, float]:
    return value * (1.0 - error), value * (1.0 + error)
