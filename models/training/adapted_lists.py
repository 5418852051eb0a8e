"""Lists of localizations as they are drawn for one microscope: a recipe with its PSF width."""

from __future__ import annotations

from rtsmlm.errors import ConfigError
from rtsmlm.models.simulation.window_sampler import focused_width_px
from rtsmlm.models.training.adapted_sections import SIGMA_ERROR
from rtsmlm.models.training.microscope import Microscope
from rtsmlm.models.training.recipe import Recipe

USUAL_SIGMA_NM = 130.0
"""Width for which the errors of `ListRanges.precision_nm` are meant."""


def on_lists(recipe: Recipe, microscope: Microscope) -> Recipe:
    """Return a recipe of localizations for the PSF of a microscope.

    A list has neither pixels nor counts of the camera. The error of its localizations is in
    proportion to the width of the PSF, at the same light, and a widefield image is as wide.

    Raises
    ------
    ConfigError
        If it states neither a width nor a table of the PSF.
    """
    sigma_nm = microscope.sigma_nm
    if sigma_nm is None and (stored := microscope.load_psf()) is not None:
        sigma_nm = focused_width_px(stored.table) * stored.pixel_nm
    if sigma_nm is None:
        raise ConfigError(
            f"{recipe.name} is given localizations, in which nothing depends on the camera, so "
            "that it cannot be adapted to that alone: state psf.sigma_nm in a file that is given "
            "with -c, or give a table of rtsmlm calibrate psf --table with --psf"
        )
    low, high = recipe.lists.precision_nm
    wider = sigma_nm / USUAL_SIGMA_NM
    update: dict[str, object] = {"precision_nm": (wider * low, wider * high)}
    if recipe.lists.widefield_fraction:
        update["widefield_nm"] = (sigma_nm * (1.0 - SIGMA_ERROR), sigma_nm * (1.0 + SIGMA_ERROR))
    return recipe.model_copy(update={"lists": recipe.lists.model_copy(update=update)})
