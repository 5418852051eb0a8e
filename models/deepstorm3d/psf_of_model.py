"""The PSF that a model was trained for, which its decoder takes photons with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from rtsmlm.models.architecture import NetworkModel
from rtsmlm.models.deepstorm3d.decode import VolumeDecoder
from rtsmlm.models.manifest import check_is_listed
from rtsmlm.models.model_files import file_entry
from rtsmlm.models.training.recipe import Recipe
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.psf_file import load_psf

PSF_NAME = "psf.npz"
"""PSF file of a model folder whose PSF came about in its training."""


def decoder_of(model: NetworkModel, shape: tuple[int, int]) -> VolumeDecoder:
    """Return the decoder of a model for frames of this shape without padding."""
    manifest = model.manifest
    if (model.folder / PSF_NAME).is_file():
        check_is_listed(manifest, model.folder, PSF_NAME)
    recipe = Recipe.model_validate(manifest.training.recipe)
    return VolumeDecoder(
        shape=shape,
        upsampling=manifest.upsampling,
        z_nm=manifest.z_range_nm or recipe.psf.z_nm,
        psf=psf_beside(model.folder, recipe),
        settings=model.decode,
    )


def psf_beside(folder: Path, recipe: Recipe) -> TablePsf:
    """Return the PSF of a model folder: its file, or what its recipe computes.

    Raises
    ------
    FileFormatError
        If the recipe names a file that did not travel with the model.
    """
    path = folder / PSF_NAME
    sha256 = file_entry(path).sha256 if path.is_file() else None
    return _psf(folder, sha256, recipe.model_dump_json())


@lru_cache(maxsize=4)
def _psf(folder: Path, sha256: str | None, recipe_json: str) -> TablePsf:
    if sha256 is not None:
        return load_psf(folder / PSF_NAME).table
    recipe = Recipe.model_validate_json(recipe_json)
    return recipe.psf.beside(folder).load(recipe.optics).table
