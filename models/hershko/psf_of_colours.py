"""The PSF of each colour through the mask of a model, which its decoder takes photons with."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.hershko.decode import ColourDecoder
from rtsmlm.models.manifest import check_is_listed
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.phase_masks import load_mask
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.pupil import Optics, pupil_psf

MASK_NAME = "mask.npy"
"""Radians of the mask at the wavelength of the recipe's optics, on a square around the pupil."""
FINE_PER_PX = 4
Z_STEP_NM = 50.0


def decoder_of(model: NetworkModel, shape: tuple[int, int]) -> ColourDecoder:
    """Return the decoder of a model for frames of this shape without padding."""
    check_is_listed(model.manifest, model.folder, MASK_NAME)
    recipe = Recipe.model_validate(model.manifest.training.recipe)
    return ColourDecoder(
        shape=shape,
        upsampling=model.manifest.upsampling,
        psf=in_focus(colour_psfs(model.folder, recipe)),
        settings=model.decode,
    )


def masked_optics(folder: Path, recipe: Recipe) -> Optics:
    """Return the optics of a model with its mask, at the wavelength of the mask's radians.

    Raises
    ------
    FileFormatError
        If the mask cannot be read.
    """
    return replace(recipe.optics.optics(), mask=load_mask(folder / MASK_NAME))


def colour_optics(folder: Path, recipe: Recipe) -> list[Optics]:
    """Return the optics of each colour of a model, the mask as its light meets it.

    Raises
    ------
    FileFormatError
        If the mask cannot be read.
    """
    optics = masked_optics(folder, recipe)
    return [optics.at(nm) for nm in recipe.colours.wavelengths_nm]


def colour_psfs(folder: Path, recipe: Recipe) -> tuple[TablePsf, ...]:
    """Return the PSF of each colour over the depths of the recipe.

    Raises
    ------
    FileFormatError
        If the mask cannot be read.
    """
    masked_optics(folder, recipe)  # one that is missing or damaged is said in a sentence
    return _computed(folder, file_entry(folder / MASK_NAME).sha256, recipe.model_dump_json())


@lru_cache(maxsize=4)
def _computed(folder: Path, sha256: str, recipe_json: str) -> tuple[TablePsf, ...]:
    del sha256  # of the mask: another one in the same folder is computed anew
    recipe = Recipe.model_validate_json(recipe_json)
    reach_nm = Z_STEP_NM * np.ceil(max(abs(z) for z in recipe.psf.z_nm) / Z_STEP_NM)
    return tuple(
        pupil_psf(
            optics, pixel_nm=recipe.optics.pixel_nm, vectorial=recipe.optics.vectorial,
            z_range_nm=float(reach_nm), z_step_nm=Z_STEP_NM, box_px=recipe.psf.box_px,
            fine_per_px=FINE_PER_PX,
        )
        for optics in colour_optics(folder, recipe)
    )  # fmt: skip


def in_focus(psfs: tuple[TablePsf, ...]) -> TablePsf:
    """Return one table whose planes are the colours, each in focus: plane k is that of colour k."""
    planes = [psf.sums[round(-psf.z_first_nm / psf.z_step_nm)] for psf in psfs]
    return replace(psfs[0], sums=np.stack(planes), z_first_nm=0.0, z_step_nm=1.0)
