"""Samplers of a recipe for one PSF."""

from __future__ import annotations

from collections.abc import Callable

import torch

from rtsmlm.models.simulation.one_psf import OnePsfSampler
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.training.recipe import Recipe


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
