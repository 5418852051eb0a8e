"""A training recipe: all that is needed to train a network again, read from TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from rtsmlm.errors import ConfigError
from rtsmlm.models.simulation.background_ranges import BackgroundRanges
from rtsmlm.models.simulation.box_ranges import BoxRanges
from rtsmlm.models.simulation.colour_ranges import ColourSection
from rtsmlm.models.simulation.dye_ranges import DyeBoxRanges, SpectrumRanges
from rtsmlm.models.simulation.list_ranges import ListRanges
from rtsmlm.models.simulation.optics import OpticsSection
from rtsmlm.models.simulation.psf_section import PsfSection
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.settings.base import Settings
from rtsmlm.settings.load import merge, parse_override


class NetworkSection(Settings):
    """Which network is trained."""

    architecture: str = "flagship"
    """Name in the entry point group `rtsmlm.network`."""
    size: str = "S+"
    """One of its sizes."""


class TrainingSection(Settings):
    """How it is trained."""

    start: str | None = None
    """Name or folder of a model whose weights it starts from; not given starts at random."""

    batch_windows: int = Field(default=16, ge=1)
    """Windows per step and process."""
    steps: int = Field(default=32000, gt=0)
    """Length of the learning-rate schedule in steps."""
    hours: float | None = Field(default=None, gt=0)
    """Its length as time instead, for a try whose end is known; not to be repeated exactly."""
    matrix_rate: float = Field(default=0.02, gt=0)
    """Peak learning rate of the convolutions, which Muon steps."""
    vector_rate: float = Field(default=2e-3, gt=0)
    """Peak learning rate of everything else, which AdamW steps."""
    warm_up: float = Field(default=0.02, ge=0, lt=1)
    """Share of the schedule in which the rate rises."""
    decay: float = Field(default=0.6, gt=0, le=1)
    """Share of the schedule, at its end, in which the rate falls to zero."""
    ramp: float = Field(default=0.25, ge=0, le=1)
    """Share of the schedule in which the density range widens."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Weights that are kept are a running mean of those trained."""
    clip: float = Field(default=2.0, gt=0)
    """Largest norm of the gradient."""
    count_weight: float = 1.0
    presence_weight: float = 1.0
    background_weight: float = 0.03
    checkpoint_minutes: float = Field(default=3.0, gt=0)
    held_out_windows: int = Field(default=128, ge=1)
    seed: int = 1


class Recipe(Settings):
    """All sections of a recipe."""

    name: str = Field(default="flagship-2d", pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Name of the model."""
    network: NetworkSection = NetworkSection()
    simulation: SimulationRanges = SimulationRanges()
    optics: OpticsSection = OpticsSection()
    """PSF of a network that is trained for one."""
    psf: PsfSection = PsfSection()
    """The same from a file, and the depths of its emitters in windows."""
    boxes: BoxRanges = BoxRanges()
    """What a network of boxes is trained on."""
    dyes: DyeBoxRanges = DyeBoxRanges()
    """Boxes of several dyes."""
    spectra: SpectrumRanges = SpectrumRanges()
    """Spectra of several dyes."""
    backgrounds: BackgroundRanges = BackgroundRanges()
    """Shapes of the background, for a network that finds it."""
    colours: ColourSection = ColourSection()
    """Dyes that share a phase mask."""
    lists: ListRanges = ListRanges()
    """What a network of localizations is trained on."""
    training: TrainingSection = TrainingSection()

    def published(self) -> Recipe:
        """Return the recipe as a manifest states it: files by name, wherever they lay."""
        file, mask = self.psf.file, self.optics.mask
        psf = self.psf.model_copy(update={"file": file and Path(file.name)})
        optics = self.optics.model_copy(update={"mask": mask and Path(mask).name})
        return self.model_copy(update={"psf": psf, "optics": optics})


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    A relative path in it is meant from the recipe where the file is there, else from the folder in
    which the command runs.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key is unknown or out of its limits.
    """
    try:
        recipe = Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        sections = {name: getattr(recipe, name).beside(path.parent) for name in ("psf", "optics")}
        return recipe.model_copy(update=sections)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"cannot read the recipe {path}: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"wrong recipe {path}: {_faults(error)}") from error


def recipe_with(recipe: Recipe, overrides: Iterable[str]) -> Recipe:
    """Return a recipe with some of its values changed.

    Parameters
    ----------
    recipe
        The recipe.
    overrides
        `section.key=value` texts.

    Raises
    ------
    ConfigError
        If a key is unknown or a value out of its limits.
    """
    texts = tuple(overrides)
    data = recipe.model_dump(mode="python", exclude_none=True)
    for text in texts:
        merge(data, parse_override(text))
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise ConfigError(f"wrong recipe in {', '.join(texts)}: {_faults(error)}") from error


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()}" for e in error.errors())
