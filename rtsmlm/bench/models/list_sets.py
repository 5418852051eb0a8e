"""The sets of the benchmark for networks that complete the image of few localizations."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import ndimage

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.image_figures import histogram
from rtsmlm.bench.models.list_figures import list_figures
from rtsmlm.bench.models.list_scenes import CAMERA_NM, SHAPE, ListScene, list_scene
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.graph_runner import graph_engine
from rtsmlm.engines.localization_image import LocalizationImage
from rtsmlm.errors import ConfigError
from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.structures import StructureName

LISTS = "Few localizations to the whole image"
STRUCTURES: tuple[StructureName, ...] = ("filaments", "mitochondria", "nuclear-pores")
FEWER = (100, 30, 10, 8)
"""Times fewer frames than there are in all."""
WIDEFIELD_AT = 100
"""Times fewer frames where a widefield image is given, too, to a network that asks for one."""
CROSSTALK, CROSSED_AT = 0.1, 8
"""Part of the localizations of two other colours, and the times fewer frames there."""
DRAWN_NM = 20.0
"""Standard deviation with which a localization is drawn."""
CALIBRATION = CameraCalibration(pixel_nm=CAMERA_NM, offset_adu=100.0, e_per_adu=1.0)


def list_trials(seed: int, *, quick: bool) -> list[Trial]:
    """Return all sets of localizations.

    Parameters
    ----------
    seed
        Of all of them.
    quick
        One structure.
    """
    seeds = np.random.SeedSequence((seed, 5)).spawn(2 * len(STRUCTURES))
    trials = []
    for k, structure in enumerate(STRUCTURES[: 1 if quick else None]):
        draw = partial(_scene, structure, seeds[2 * k])
        others = tuple(name for name in STRUCTURES if name != structure)
        crossed = partial(_scene, structure, seeds[2 * k + 1], strays=others, crosstalk=CROSSTALK)
        trials += [
            _trial(f"{structure}, {fewer} x fewer", structure, draw, fewer) for fewer in FEWER
        ]
        name = with_widefield(structure)
        trials.append(_trial(name, structure, draw, WIDEFIELD_AT, widefield=True))
        name = f"{structure}, {CROSSED_AT} x fewer, {CROSSTALK:.0%} cross-talk"
        trials.append(_trial(name, structure, crossed, CROSSED_AT))
    return trials


def _scene(
    structure: StructureName,
    seed: np.random.SeedSequence,
    *,
    strays: tuple[StructureName, ...] = (),
    crosstalk: float = 0.0,
) -> ListScene:
    """Return the same list whichever of the sets are measured."""
    rng = np.random.default_rng(seed)
    return list_scene(structure, rng, strays=strays, crosstalk=crosstalk)


def with_widefield(structure: str) -> str:
    """Return the name of the set in which a widefield image is given."""
    return f"{structure}, {WIDEFIELD_AT} x fewer, and a widefield image"


def _trial(
    name: str,
    structure: StructureName,
    draw: partial[ListScene],
    fewer: float,
    *,
    widefield: bool = False,
) -> Trial:
    def prepare() -> Judge:
        scene = draw()
        return lambda entrant: judge(entrant, scene, fewer, widefield=widefield)

    def enters(entrant: Entrant) -> bool:
        if not entrant.is_of_localizations or entrant.manifest is None:
            return False
        asked = {entry.name for entry in entrant.manifest.inputs}
        return structure in entrant.manifest.structures and (not widefield or "widefield" in asked)

    return Trial(section=LISTS, condition=name, prepare=prepare, enters=enters)


def judge(entrant: Entrant, scene: ListScene, fewer: float, *, widefield: bool = False) -> Figures:
    """Return how like the image of the first frames is to that of all.

    Parameters
    ----------
    entrant
        A network of localizations that knows the structure.
    scene
        The localizations.
    fewer
        Times fewer frames that it is given.
    widefield
        Whether it is given a widefield image of the field, too.
    """
    light = scene.widefield(np.random.default_rng(0)) if widefield else None
    network = open_network(entrant, scene.structure, widefield=light)
    first = scene.first(fewer)
    network.add_localizations(first)
    layer = network.layer()
    few, whole = (drawn(rows, layer.pixel_nm) for rows in (first, scene.clean))
    return list_figures(layer.image, network.uncertainty().image, few, whole)


def open_network(
    entrant: Entrant, structure: str, engine: str = "auto", *, widefield: F32 | None = None
) -> LocalizationImage:
    """Return a network of localizations, ready for the rows of a scene of a structure.

    Raises
    ------
    ConfigError
        If it makes no image of localizations.
    """
    if entrant.folder is None:
        raise ConfigError(f"{entrant.label} makes no image of localizations")
    return LocalizationImage(
        entrant.folder,
        graph_engine(engine),
        CALIBRATION,
        SHAPE,
        structure=structure,
        widefield=widefield,
    )


def drawn(rows: Localizations, pixel_nm: float) -> F32:
    """Return localizations as an image of pixels of this size, each a Gaussian."""
    fine = round(CAMERA_NM / pixel_nm)
    counts = histogram(rows, SHAPE, fine, CAMERA_NM)
    image: F32 = ndimage.gaussian_filter(counts, DRAWN_NM / pixel_nm, mode="constant")
    return image
