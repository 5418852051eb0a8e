"""Windows as they are drawn for one microscope: a recipe with its camera and its PSF."""

from __future__ import annotations

import math
from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.ranges import AstigmatismRanges, SimulationRanges
from rtsmlm.models.simulation.window_sampler import focused_width_px
from rtsmlm.models.training.microscope import SAME_PIXEL, Microscope
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf_file import StoredPsf, save_psf
from rtsmlm.physics.psf_of_curves import psf_of_curves

SIGMA_ERROR = 0.05
"""Relative error of a measured width, and how much it changes with temperature and field."""
CURVE_ERROR = 0.05
READ_NOISE_SPREAD = 1.2
GAIN_ERROR, OFFSET_ERROR_E = 0.03, 1.0
"""Of a camera that was calibrated."""
LEAST_READ_NOISE_E = 0.05
PSF_FILE = "psf_table.npz"
"""Beside the manifest of an adapted model."""
_WANTS = (
    "run rtsmlm calibrate psf BEADS.tif --table and give its psf_table.npz with --psf, or give "
    "psf_astigmatic.toml of --astigmatic with -c"
)
WIDTH_ALONE = (
    "{name} knows one PSF with depth, and a width alone says nothing of another: " + _WANTS
)


def windows_of_camera(ranges: SimulationRanges, microscope: Microscope) -> SimulationRanges:
    """Return the ranges with the camera of a microscope alone."""
    if not microscope.has_camera:
        return ranges
    update: dict[str, object] = dict(noise_of(microscope))
    if microscope.e_per_adu is not None:
        update["gain_error"] = min(ranges.gain_error, GAIN_ERROR)
    if microscope.offset_adu is not None:
        update["offset_error_e"] = min(ranges.offset_error_e, OFFSET_ERROR_E)
    return ranges.model_copy(update=update)


def noise_of(microscope: Microscope) -> dict[str, object]:
    """Return what is drawn of the kind of a camera and its read noise."""
    multiplies = (microscope.em_gain or 1.0) > 1.0
    noise: dict[str, object] = {"emccd_fraction": float(multiplies), "ideal_fraction": 0.0}
    read_e = microscope.read_noise_e
    if read_e is not None and not multiplies:
        if read_e < LEAST_READ_NOISE_E:
            noise["ideal_fraction"] = 1.0
        typical = max(read_e, LEAST_READ_NOISE_E)
        noise["read_noise_e"] = (typical / READ_NOISE_SPREAD, typical * READ_NOISE_SPREAD)
    return noise


def round_windows(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of windows of any round PSF for the PSF and camera of a microscope.

    Raises
    ------
    ConfigError
        If there is neither a width nor a table of the PSF.
    """
    ranges = windows_of_camera(recipe.simulation, microscope)
    stored = microscope.load_psf()
    sigma_px = _width_px(recipe, microscope, stored)
    if sigma_px is None:
        if not microscope.has_camera:
            raise ConfigError(
                f"{recipe.name} cannot be adapted without a PSF: state psf.sigma_nm in a file that "
                "is given with -c, or give a table of rtsmlm calibrate psf --table with --psf"
            )
        return recipe.model_copy(update={"simulation": ranges})
    low, high = sigma_px * (1.0 - SIGMA_ERROR), sigma_px * (1.0 + SIGMA_ERROR)
    update: dict[str, object] = {
        "sigma_px": (low, high),
        "usual_sigma_px": (low, high),
        "computed_fraction": 0.0,
        "sigma_error": min(ranges.sigma_error, SIGMA_ERROR),
    }
    psf = recipe.psf
    if stored is not None:
        update["computed_fraction"] = 1.0
        psf = psf.model_copy(update={"file": microscope.psf_file})
    simulation = ranges.model_copy(update=update)
    return recipe.model_copy(update={"simulation": simulation, "psf": psf})


def _width_px(recipe: Recipe, microscope: Microscope, stored: StoredPsf | None) -> float | None:
    """Return the width of a PSF as stated, else as a table has it; None where there is neither."""
    if microscope.sigma_nm is not None:
        pixel_nm = stored.pixel_nm if stored else microscope.needed_pixel_nm(recipe.name)
        return microscope.sigma_nm / pixel_nm
    return None if stored is None else focused_width_px(stored.table)


def astigmatic_windows(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of windows of any astigmatic PSF for that of a microscope.

    Raises
    ------
    ConfigError
        If there are no curves.
    """
    if microscope.curves is None:
        raise ConfigError(
            f"{recipe.name} cannot be adapted without the curves of an astigmatic PSF: run rtsmlm "
            "calibrate psf BEADS.tif --z-step-nm 50 --astigmatic and give its psf_astigmatic.toml "
            "with -c"
        )
    pixel_nm = microscope.needed_pixel_nm(recipe.name)
    ranges = windows_of_camera(recipe.simulation, microscope)
    drawn = ranges.astigmatism or AstigmatismRanges()
    x, y = microscope.curves.x, microscope.curves.y
    simulation = ranges.model_copy(
        update={
            "astigmatism": _near(microscope.curves, pixel_nm, drawn),
            "ellipticity": _around(x.sigma0_nm / y.sigma0_nm),
            "computed_fraction": 0.0,
        }
    )
    return recipe.model_copy(update={"simulation": simulation})


def _near(curves: WidthCurves, pixel_nm: float, drawn: AstigmatismRanges) -> AstigmatismRanges:
    """Return ranges of curves near those that were measured."""
    x, y = curves.x, curves.y
    depth_nm = math.sqrt(x.depth_nm * y.depth_nm)
    off_nm = abs(curves.middle_nm - 0.5 * (x.focus_nm + y.focus_nm))
    bends = sorted(max(value, 0.0) for value in (x.quartic, y.quartic))
    return drawn.model_copy(
        update={
            "sigma0_px": _around(math.sqrt(x.sigma0_nm * y.sigma0_nm) / pixel_nm),
            "separation": _around(0.5 * abs(x.focus_nm - y.focus_nm) / depth_nm),
            "depth_ratio": _around(x.depth_nm / y.depth_nm),
            "half_range": _around(curves.half_range_nm / depth_nm),
            "off_center": max(off_nm / depth_nm, CURVE_ERROR),
            "cubic": max(abs(x.cubic), abs(y.cubic), CURVE_ERROR),
            "quartic": (0.8 * bends[0], 1.2 * bends[1] + CURVE_ERROR),
        }
    )


def _around(value: float) -> tuple[float, float]:
    return value * (1.0 - CURVE_ERROR), value * (1.0 + CURVE_ERROR)


def one_psf(recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
    """Return a recipe of windows of one PSF for that of a microscope.

    Parameters
    ----------
    recipe
        What the model was trained by.
    microscope
        A table of its PSF, or the curves of an astigmatic one.
    folder
        Of the adapted model; a PSF of curves is written there.

    Raises
    ------
    ConfigError
        If it has no PSF with depth, or one of less depth than the network can state.
    """
    simulation = windows_of_camera(recipe.simulation, microscope)
    stored, file = psf_with_depth(recipe, microscope), microscope.psf_file
    if stored is not None and file is None:
        file = folder / PSF_FILE
        save_psf(file, stored.table, pixel_nm=stored.pixel_nm, origin=stored.origin)
    if stored is None:
        return _on_other_pixels(recipe.model_copy(update={"simulation": simulation}), microscope)
    low = max(recipe.psf.z_nm[0], stored.z_nm[0])
    high = min(recipe.psf.z_nm[1], stored.z_nm[1])
    if high - low < 0.25 * (recipe.psf.z_nm[1] - recipe.psf.z_nm[0]):
        raise ConfigError(
            f"{recipe.name} finds depths of {recipe.psf.z_nm[0]:g} to {recipe.psf.z_nm[1]:g} nm, "
            f"but the PSF given holds {stored.z_nm[0]:g} to {stored.z_nm[1]:g} nm: measure it over "
            "more depth"
        )
    psf = recipe.psf.model_copy(update={"file": file, "z_nm": (low, high)})
    return recipe.model_copy(update={"simulation": simulation, "psf": psf})


def of_a_mask(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of windows through a mask of its own, on the pixels of a microscope.

    A width or curves that settings state are those of the microscope without the mask.

    Raises
    ------
    ConfigError
        If the pixels are not stated, or a table of the PSF is given: the mask draws it.
    """
    if microscope.psf_file is not None:
        raise ConfigError(
            f"{recipe.name} has the PSF of the mask that it learns, so that none can be given: "
            "leave --psf away, and state camera.pixel_nm and the objective, such as --change "
            "optics.na=1.45"
        )
    microscope.needed_pixel_nm(recipe.name)
    return recipe.model_copy(update={"optics": optics_on_pixels(recipe, microscope)})


def psf_with_depth(recipe: Recipe, microscope: Microscope) -> StoredPsf | None:
    """Return the PSF of the table or of the curves; None where there are neither."""
    stored = microscope.load_psf()
    if stored is not None or microscope.curves is None:
        return stored
    pixel_nm = microscope.needed_pixel_nm(recipe.name)
    table = psf_of_curves(microscope.curves, pixel_nm, recipe.psf.box_px)
    return StoredPsf(table, pixel_nm, "Gaussian whose widths follow measured curves")


def _on_other_pixels(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe whose PSF stays, on the pixels and with the camera of a microscope."""
    if recipe.psf.file is not None:
        # One that lies beside the manifest has become an absolute path.
        if not recipe.psf.file.is_absolute():
            raise ConfigError(
                f"{recipe.name} was trained for the PSF of {recipe.psf.file.name}, which does not "
                f"lie beside its manifest: {_WANTS}"
            )
        recipe.psf.load(recipe.optics)
        return recipe
    if microscope.pixel_nm is None and not microscope.has_camera:
        raise ConfigError(WIDTH_ALONE.format(name=recipe.name))
    return recipe.model_copy(update={"optics": optics_on_pixels(recipe, microscope)})


def optics_on_pixels(recipe: Recipe, microscope: Microscope) -> OpticsSection:
    """Return the optics of a recipe on the pixels of a microscope."""
    pixel_nm = microscope.pixel_nm or recipe.optics.pixel_nm
    if abs(pixel_nm / recipe.optics.pixel_nm - 1.0) < SAME_PIXEL:
        return recipe.optics
    return recipe.optics.model_copy(update={"pixel_nm": pixel_nm})
