"""Who takes part in `rtsmlm bench models`: fits and models of every kind, by name or folder."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtsmlm.bench.accuracy.contenders import (
    FITS,
    OF_TABLES,
    OurLocalizer,
    label_of,
    manifest_of,
    plain_name,
)
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.models.results import ModelFacts
from rtsmlm.engines.box_networks import box_px_of
from rtsmlm.engines.graph_runner import graph_engine
from rtsmlm.engines.image_network import NetworkImage
from rtsmlm.engines.selection import LOCALIZING, factory_of
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.catalog import find_model, model_folders
from rtsmlm.models.manifest import Manifest, read_manifest

FLAGSHIPS = ("flagship-2d", "flagship-2d-fast", "flagship-astig")
FIT = "fit"
IMAGE = "image"
BOX = "box-parameters"
BACKGROUND = "box-background"
COMPUTED = "computed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A model or a fit that is measured."""

    name: str
    """Name of a localizer or model, or path of a model folder."""
    folder: Path | None = None
    manifest: Manifest | None = None
    """None of a fit."""

    @property
    def label(self) -> str:
        """What tables call it."""
        return label_of(self.name)

    def rngs(self, seed: int, n: int) -> list[np.random.Generator]:
        """Return what draws sets of its own: the same, with or without others."""
        return np.random.default_rng((seed, zlib.crc32(self.label.encode()))).spawn(n)

    @property
    def task(self) -> str:
        """What it does: that of its manifest, or fit."""
        return FIT if self.manifest is None else self.manifest.task

    @property
    def localizes(self) -> bool:
        """Whether it turns frames into rows, of one colour."""
        return self.manifest is None or (self.task in LOCALIZING and not self.manifest.colours)

    @property
    def is_of_localizations(self) -> bool:
        """Whether it makes an image of localizations, not of frames."""
        return self.manifest is not None and self.manifest.inputs[0].name == "localizations"

    @property
    def finds_z(self) -> bool:
        """Whether it states depths."""
        if self.manifest is None:
            return plain_name(self.name).startswith("astigmatic")
        channels = {channel.name for channel in self.manifest.channels}
        stated = self.task == BOX and "z_nm" in channels
        return stated or self.manifest.psf == "astigmatic" or self.manifest.z_range_nm is not None

    @property
    def is_given_the_psf(self) -> bool:
        """Whether it takes any astigmatic PSF by its curves; others know the one they learned."""
        return self.finds_z and (self.manifest is None or self.manifest.psf == "astigmatic")

    def span_nm(self) -> tuple[float, float]:
        """Return the depths that it finds; without an end where it states none."""
        if self.manifest is None or self.manifest.psf == "astigmatic":
            return -math.inf, math.inf
        if self.manifest.z_range_nm is not None:
            return self.manifest.z_range_nm
        low, high = self.manifest.training.recipe.get("boxes", {}).get("z_nm", (-600.0, 600.0))
        return float(low), float(high)

    def localize(self, scene: Scene, engine: str = "auto") -> Localizations:
        """Return what it finds; a network without the fit that follows it in a run.

        Raises
        ------
        RtsmlmError
            If it does not take the camera or the PSF, or the engine fails.
        """
        (_, found), *_ = OurLocalizer(self.name, refine=False, engine=engine)(scene)
        return found

    def images(self, scene: Scene, engine: str = "auto") -> Iterator[F32]:
        """Yield the image that a network of images makes of each frame.

        Raises
        ------
        RtsmlmError
            If it cannot be run.
        """
        network = self.image_network(scene, engine)
        before = network.layer().image
        for k in range(len(scene.batch)):
            network.add_frames(scene.batch.frames(k, k + 1))
            after = network.layer().image
            yield after - before
            before = after

    def image_network(self, scene: Scene, engine: str = "auto") -> NetworkImage:
        """Return a network of images, ready for the frames of a scene."""
        if self.folder is None:
            raise ConfigError(f"{self.label} makes no images")
        engine = graph_engine(engine)
        return NetworkImage(self.folder, engine, scene.calibration, scene.batch.shape)

    def facts(self) -> ModelFacts:
        """Return what tables state of it."""
        manifest = self.manifest
        if manifest is None:
            return ModelFacts(name=self.label, task=FIT)
        return ModelFacts(
            name=self.label,
            task=manifest.task,
            architecture=manifest.architecture,
            size=manifest.size,
            psf=self._psf(manifest),
            parameters=manifest.parameters,
            kmac_per_px=manifest.kmac_per_px,
            box_px=box_px_of(manifest) if self.task in (BOX, BACKGROUND) else None,
            version=manifest.version,
            origin=manifest.origin,
        )

    def _psf(self, manifest: Manifest) -> str:
        """Return the PSF in words: of any width or curves, or the one that was learned."""
        if not self.finds_z or self.is_given_the_psf:
            return manifest.psf
        stored = manifest.training.recipe.get("psf", {}).get("file")
        low, high = self.span_nm()
        name = COMPUTED if stored is None else Path(stored).name
        return f"{name}, z {low:g} to {high:g} nm"


def entrants(names: Sequence[str], *, alone: bool, notes: list[str]) -> list[Entrant]:
    """Return who takes part.

    Parameters
    ----------
    names
        Names or folders of models; none takes all that are installed.
    alone
        Leave out the fits and the flagships, which otherwise are measured beside them.
    notes
        Appended to where an installed one cannot be opened.

    Raises
    ------
    ConfigError
        If one that was named is not there.
    """
    wanted = list(names) or list(model_folders())
    fits = [name for name in FITS if name not in OF_TABLES]  # no scene here has a measured PSF
    beside = [] if alone else [*fits, *(n for n in FLAGSHIPS if n in model_folders())]
    found = []
    for name in dict.fromkeys([*beside, *wanted]):
        try:
            found.append(_entrant(name))
        except ConfigError as error:
            if name in names:
                raise
            notes.append(f"{name} is left out: {error}")
    return found


def _entrant(name: str) -> Entrant:
    if manifest_of(name) is None:
        factory_of(plain_name(name))
        return Entrant(name=name)
    folder = find_model(plain_name(name))
    return Entrant(name=name, folder=folder, manifest=read_manifest(folder))
