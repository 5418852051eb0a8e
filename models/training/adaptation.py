"""The recipe that adapts a model to a microscope: its own, with camera and PSF replaced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.models.catalog import architecture_of
from rtsmlm.models.manifest import Manifest
from rtsmlm.models.training.microscope import Microscope
from rtsmlm.models.training.recipe import Recipe, TrainingSection, recipe_with

SHARE = 8
"""The schedule of an adaptation is so many times shorter than that of the model."""
RATE = 0.3
"""Peak learning rates, relative to those of the model: its weights are to be kept, not replaced."""
WARM_UP, DECAY = 0.05, 0.95


@runtime_checkable
class Adaptable(Protocol):
    """An architecture whose training depends on camera or PSF."""

    def adapted(self, recipe: Recipe, microscope: Microscope, folder: Path) -> Recipe:
        """Return the recipe for a microscope.

        Parameters
        ----------
        recipe
            What a model was trained by.
        microscope
            What is stated; all else stays as it was drawn.
        folder
            Of the adapted model; what the recipe needs besides is written there.

        Raises
        ------
        ConfigError
            If it lacks what the samples depend on: one sentence on what, and how to get it.
        """
        ...


def adapted_recipe(
    manifest: Manifest,
    source: Path,
    microscope: Microscope,
    folder: Path,
    *,
    name: str,
    overrides: Iterable[str] = (),
) -> Recipe:
    """Return the recipe that adapts a model.

    Parameters
    ----------
    manifest, source
        Of the model, and its folder.
    microscope
        What to adapt to.
    folder
        Of the adapted model.
    name
        Its name.
    overrides
        `section.key=value`: changes of the recipe that win over all.

    Raises
    ------
    ConfigError
        If the model cannot be adapted, or the microscope lacks what it needs.
    """
    overrides = tuple(overrides)
    architecture, recipe = adaptable(manifest, source, overrides)
    recipe = architecture.adapted(recipe, microscope, folder)
    update = {"name": name, "training": _short(recipe.training, source)}
    return recipe_with(recipe.model_copy(update=update), overrides)


def adaptable(
    manifest: Manifest, source: Path, overrides: Iterable[str] = ()
) -> tuple[Adaptable, Recipe]:
    """Return the architecture of a model, and the recipe that is adapted; see `adapted_recipe`.

    Raises
    ------
    ConfigError
        If the model cannot be adapted.
    """
    recipe = recipe_of(manifest, source)
    architecture = architecture_of(recipe.network.architecture)
    if not isinstance(architecture, Adaptable):
        raise ConfigError(
            f"{manifest.name} cannot be adapted: nothing that {recipe.network.architecture} is "
            "trained on depends on camera or PSF"
        )
    # Some of it decides how the PSF is taken, such as optics.na.
    return architecture, recipe_with(recipe.model_copy(update={"name": manifest.name}), overrides)


def recipe_of(manifest: Manifest, source: Path) -> Recipe:
    """Return what a model was trained by, with its PSF file where that lies beside it.

    Raises
    ------
    ConfigError
        If its manifest does not state it.
    """
    stated = manifest.training.recipe
    if not stated:
        raise ConfigError(
            f"the manifest of {manifest.name} states no recipe (training.recipe), so that nothing "
            "is known of its training: take a model that rtsmlm export has written"
        )
    try:
        recipe = Recipe.model_validate(stated)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(
            f"the recipe in the manifest of {manifest.name} is not one that this rtsmlm reads: "
            f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
        ) from error
    return recipe.model_copy(update={"psf": recipe.psf.beside(source)})


def _short(training: TrainingSection, source: Path) -> TrainingSection:
    """Return a short schedule that starts from a model, with all densities from the first step."""
    return training.model_copy(
        update={
            "start": str(source),
            "steps": max(training.steps // SHARE, 1),
            "hours": None,
            "matrix_rate": RATE * training.matrix_rate,
            "vector_rate": RATE * training.vector_rate,
            "warm_up": WARM_UP,
            "decay": DECAY,
            "ramp": 0.0,
        }
    )
