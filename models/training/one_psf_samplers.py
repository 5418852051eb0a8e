"""What a recipe for one PSF is trained and measured with."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rtsmlm.models.simulation.one_psf import OnePsfSampler
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.models.training.scoring import PairReach
from rtsmlm.physics.psf_file import load_psf


def samplers_of(
    recipe: Recipe, device: torch.device
) -> Callable[[SimulationRanges], OnePsfSampler]:
    """Return what makes samplers of the recipe's PSF, which is read or computed here, once.

    Parameters
    ----------
    recipe
        Its sections `psf` and `optics` are the PSF.
    device
        Where the windows are made.

    Raises
    ------
    ConfigError
        If the PSF does not reach over the whole range of depths.
    FileFormatError
        If its file cannot be read.
    """
    table = recipe.psf.load(recipe.optics).table
    return lambda ranges: OnePsfSampler(ranges, table, recipe.psf, device)


def reach_of(recipe: Recipe) -> PairReach:
    """Return how far a row may lie from its emitter, in what the recipe's windows count by."""
    file = recipe.psf.file
    pixel_nm = recipe.optics.pixel_nm if file is None else load_psf(file).pixel_nm
    return PairReach.of_psf(pixel_nm=pixel_nm, half_range_nm=recipe.psf.half_nm)
