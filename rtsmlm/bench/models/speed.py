"""How fast models are on this machine, on every engine that it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import numpy as np

from rtsmlm.bench.accuracy.contenders import OurLocalizer
from rtsmlm.bench.accuracy.scenes import Scene
from rtsmlm.bench.models.class_scenes import network_of
from rtsmlm.bench.models.entrants import BACKGROUND, BOX, IMAGE, Entrant
from rtsmlm.bench.models.list_scenes import list_scene
from rtsmlm.bench.models.list_sets import open_network
from rtsmlm.bench.models.results import Speed
from rtsmlm.bench.speed.scene import MovieKind, speed_scene
from rtsmlm.engines.box_networks import NetworkBackground, NetworkBoxFit
from rtsmlm.engines.class_networks import TASK
from rtsmlm.engines.runtimes import why_not
from rtsmlm.errors import ConfigError, RtsmlmError
from rtsmlm.fitting import boxes

SIDES_PX = (256, 64)
"""Frames of the first are those of a camera; the second are tiles, as DeepLOCO counts them."""
DENSITY_UM2 = 0.1
FRAMES = "frames/s at {side} x {side}"
SPOTS = "spots/s"
FIELDS = "images/s of 500 x 500"
"""Of networks of localizations, of a field of 10 µm."""
SECONDS, QUICK_SECONDS = 1.5, 0.1
"""Time for which one model is watched on one engine, after it is warm."""
MOST_FRAMES = 64
N_BOXES, BOX_SIGMA_PX = 2048, 1.3
FEWER = 10
"""Times fewer frames than a whole run has, for networks of localizations."""
FIT_ENGINE = "compiled"


def frames_at(side: int) -> str:
    """Return the unit of a speed at a size of frames."""
    return FRAMES.format(side=side)


def engines_here() -> list[str]:
    """Return the engines that can run a network on this machine, in the order of the tables."""
    found = ["openvino"] * (find_spec("openvino") is not None)
    found += ["torch"] * (find_spec("torch") is not None)
    return found + ["tensorrt"] * (not why_not("tensorrt"))


def speeds_of(
    entrants: Sequence[Entrant],
    notes: list[str],
    *,
    quick: bool,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[Speed]:
    """Return the speed of all entrants.

    Parameters
    ----------
    entrants
        One that an engine cannot run is left out there, with a note.
    notes
        Appended to.
    quick
        Watch them shortly.
    on_step
        Called before each measurement with what comes.
    """
    seconds = QUICK_SECONDS if quick else SECONDS
    scenes: dict[tuple[int, bool], Scene] = {}
    found: list[Speed] = []
    for entrant, engine in steps_of(entrants):
        on_step(f"speed: {entrant.label} on {engine}")
        try:
            found += _speeds(entrant, engine, scenes, seconds)
        except RtsmlmError as error:
            notes.append(
                f"the speed of {entrant.label} on {engine} is left out: "
                f"{str(error).splitlines()[0]}"
            )
    return found


def steps_of(entrants: Sequence[Entrant]) -> list[tuple[Entrant, str]]:
    """Return what is measured: each entrant with each engine that may run it."""
    engines = engines_here()
    return [
        (entrant, engine)
        for entrant in entrants
        for engine in ([FIT_ENGINE] if entrant.manifest is None else engines)
    ]


def _speeds(
    entrant: Entrant, engine: str, scenes: dict[tuple[int, bool], Scene], seconds: float
) -> list[Speed]:
    found = []
    if entrant.is_of_localizations:
        return [_named(entrant, engine, FIELDS, _fields_per_s(entrant, engine, seconds))]
    if entrant.task == BOX:
        found.append(_named(entrant, engine, SPOTS, _spots_per_s(entrant, engine, seconds)))
    if entrant.task == TASK:
        # What it adds to a localizer, which it does not replace.
        return [_named(entrant, engine, SPOTS, _dyes_per_s(entrant, engine, seconds))]
    if entrant.task == BACKGROUND:
        rate = _backgrounds_per_s(entrant, engine, seconds)
        return [_named(entrant, engine, SPOTS, rate)]
    for side in SIDES_PX:
        key = side, entrant.is_given_the_psf
        if key not in scenes:
            kind = MovieKind(size_px=side, density_um2=DENSITY_UM2, astigmatic=key[1])
            scenes[key] = speed_scene(kind)
        rate = _frames_per_s(entrant, engine, scenes[key], seconds)
        found.append(_named(entrant, engine, frames_at(side), rate))
    return found


def _named(entrant: Entrant, engine: str, what: str, per_s: float) -> Speed:
    return Speed(model=entrant.label, engine=engine, what=what, per_s=float(f"{per_s:.3g}"))


def _frames_per_s(entrant: Entrant, engine: str, scene: Scene, seconds: float) -> float:
    if entrant.task == IMAGE:
        network = entrant.image_network(scene, engine)
        return _rate(lambda n: network.add_frames(scene.batch.frames(0, n)), seconds)
    chosen = "auto" if engine == FIT_ENGINE else engine
    localizer = OurLocalizer(entrant.name, refine=False, engine=chosen).open(scene)
    localizer.warm_up(scene.batch.shape)
    return _rate(lambda n: localizer(scene.batch.frames(0, n)), seconds)


def _fields_per_s(entrant: Entrant, engine: str, seconds: float) -> float:
    structures = () if entrant.manifest is None else entrant.manifest.structures
    if not structures:
        raise ConfigError(f"{entrant.label} names no structure")
    network = open_network(entrant, structures[0], engine)
    network.add_localizations(list_scene("filaments", np.random.default_rng(0)).first(FEWER))

    def predict(n: int) -> None:
        for _ in range(n):
            network.layer()

    return _rate(predict, seconds)


def _spots_per_s(entrant: Entrant, engine: str, seconds: float) -> float:
    if entrant.folder is None:
        raise ConfigError(f"{entrant.label} is no network of boxes")
    fit = NetworkBoxFit(entrant.folder, engine, BOX_SIGMA_PX)
    side = fit.box_px
    rng = np.random.default_rng(0)
    photons = rng.poisson(20.0, (N_BOXES, side, side)).astype(np.float32)
    variance = np.ones_like(photons)
    rows = boxes.fit_table(N_BOXES)
    middle = np.full(N_BOXES, (side - 1) / 2, dtype=np.float32)

    def fit_boxes(n: int) -> None:
        fit(photons[:n], variance[:n], middle[:n], middle[:n], rows[:n])

    return _rate(fit_boxes, seconds, most=N_BOXES)


def _dyes_per_s(entrant: Entrant, engine: str, seconds: float) -> float:
    network = network_of(entrant, engine)
    given = np.random.default_rng(0).poisson(20.0, (N_BOXES, *network.shape)).astype(np.float32)
    return _rate(lambda n: network(given[:n]), seconds, most=N_BOXES)


def _backgrounds_per_s(entrant: Entrant, engine: str, seconds: float) -> float:
    """Return how many boxes a second get their background, without the fit after it."""
    if entrant.folder is None:
        raise ConfigError(f"{entrant.label} is no network of boxes")
    network = NetworkBackground(entrant.folder, engine)
    side = network.box_px
    photons = np.random.default_rng(0).poisson(20.0, (N_BOXES, side, side)).astype(np.float32)
    variance = np.ones_like(photons)
    return _rate(lambda n: network(photons[:n], variance[:n]), seconds, most=N_BOXES)


def _rate(work: Callable[[int], object], seconds: float, most: int = MOST_FRAMES) -> float:
    """Return how many frames or boxes a second, the best of some calls of equal size.

    The size is what takes about a fifth of the time, found by doubling.
    """
    n = 1
    work(n)
    while True:
        start = time.perf_counter()
        work(n)
        took = time.perf_counter() - start
        if took > seconds / 5 or n >= most:
            break
        n = min(2 * n, most)
    best = took
    for _ in range(min(4, int(seconds / max(took, 1e-6)))):
        start = time.perf_counter()
        work(n)
        best = min(best, time.perf_counter() - start)
    return n / best
