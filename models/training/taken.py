"""What a model takes of a calibration, and what has no part in its training."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from rtsmlm.errors import ConfigError
from rtsmlm.models.training.adaptation import Adaptable
from rtsmlm.models.training.microscope import Microscope
from rtsmlm.models.training.recipe import Recipe

NAMES = {
    "pixel_nm": "the pixel ({:g} nm)",
    "offset_adu": "the dark value",
    "e_per_adu": "the gain",
    "em_gain": "the EM gain ({:g})",
    "read_noise_e": "the read noise ({:g} e)",
    "sigma_nm": "the PSF width ({:g} nm)",
    "curves": "the widths of the PSF by depth",
    "psf_file": "the PSF table",
    "spectrum": "the disperser",
}
"""What a microscope may state, as it is called."""


def what_is_taken(
    architecture: Adaptable, recipe: Recipe, microscope: Microscope, folder: Path
) -> str:
    """Return a sentence on what a model takes of a calibration, and what it has no use for.

    Each value is left out in turn: where the recipe of the adapted model is the same without it,
    it has no part in the training.

    Parameters
    ----------
    architecture, recipe
        Of the model.
    microscope
        What is stated.
    folder
        As for `Adaptable.adapted`.
    """
    stated = [f.name for f in fields(microscope) if getattr(microscope, f.name) is not None]
    whole = architecture.adapted(recipe, microscope, folder)
    taken = [
        name
        for name in stated
        if len(stated) == 1 or _differs(architecture, recipe, microscope, folder, name, whole)
    ]
    if "psf_file" in taken and "pixel_nm" in stated and "pixel_nm" not in taken:
        taken.insert(0, "pixel_nm")  # the table states the same one
    called = {name: NAMES[name].format(getattr(microscope, name)) for name in stated}
    left = [called[name] for name in stated if name not in taken]
    sentence = f"{recipe.name} takes {_listed([called[name] for name in taken]) or 'nothing'} "
    sentence += "from the calibration"
    if left:
        has = "has" if len(left) == 1 else "have"
        sentence += f"; {_listed(left)} {has} no part in its training"
    return sentence


def _differs(
    architecture: Adaptable,
    recipe: Recipe,
    microscope: Microscope,
    folder: Path,
    name: str,
    whole: Recipe,
) -> bool:
    try:
        without = replace(microscope, **{name: None})
        return architecture.adapted(recipe, without, folder) != whole
    except ConfigError:  # it cannot do without
        return True


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
