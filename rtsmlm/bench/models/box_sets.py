"""The sets of the benchmark whose question is a box with one emitter in it.

A network of boxes is measured with the optics that its recipe states, as its training had it and
without its aberrations; the classical fits get the same boxes, and are calibrated on beads of the
same PSF without aberrations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.models.box_figures import box_figures
from rtsmlm.bench.models.box_scenes import READ_VARIANCE, BoxSet, has_modes, lens_boxes, plane_boxes
from rtsmlm.bench.models.entrants import BOX, FIT, Entrant
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.engines.box_networks import NetworkBoxFit
from rtsmlm.engines.graph_runner import graph_engine
from rtsmlm.errors import ConfigError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.astigmatic_localizer import AstigmaticMle
from rtsmlm.fitting.box_fit import BoxFit, GaussianMle

BOXES = "Box to parameters"
PLANE = "round PSF"
LENS, ABERRATED = "lens alone", "lens and aberrations"
ITERATIONS = 30


def box_trials(entrants: Sequence[Entrant], seed: int, *, quick: bool) -> list[Trial]:
    """Return all sets of boxes.

    Parameters
    ----------
    entrants
        Each network of boxes that finds z gets sets of its own.
    seed
        Of all boxes.
    quick
        Fewer boxes.
    """
    first = np.random.default_rng((seed, 2))
    n = 60 if quick else 600
    trials = [
        _trial(PLANE, lambda: plane_boxes(first, 4 * n), _is_flat),
    ]
    for entrant in entrants:
        if not is_box_network(entrant) or not entrant.finds_z:
            continue
        alone, aberrated = entrant.rngs(seed, 2)
        trials.append(_own_trial(entrant, LENS, 0.0, n, alone))
        if has_modes(entrant):
            trials.append(_own_trial(entrant, ABERRATED, 1.0, n, aberrated))
    return trials


def is_box_network(entrant: Entrant) -> bool:
    """Whether an entrant turns boxes into parameters."""
    return entrant.task == BOX


def _is_flat(entrant: Entrant) -> bool:
    return not entrant.finds_z and (entrant.task == FIT or is_box_network(entrant))


def _own_trial(
    entrant: Entrant, name: str, share: float, n: int, rng: np.random.Generator
) -> Trial:
    def enters(other: Entrant) -> bool:
        return other == entrant or (other.task == FIT and other.finds_z)

    return _trial(
        f"{entrant.label}: {name}", lambda: lens_boxes(entrant, rng, n, aberrated=share), enters
    )


def _trial(condition: str, draw: Callable[[], BoxSet], enters: Callable[[Entrant], bool]) -> Trial:
    def prepare() -> Judge:
        drawn = draw()
        return lambda entrant: judge(entrant, drawn)

    return Trial(section=BOXES, condition=condition, prepare=prepare, enters=enters)


def judge(entrant: Entrant, drawn: BoxSet) -> Figures:
    """Return the figures of an entrant on boxes."""
    fit = box_fit_of(entrant, drawn)
    n, side, _ = drawn.photons.shape
    rows = boxes.fit_table(n)
    middle = np.full(n, (side - 1) / 2.0, dtype=np.float32)
    variance = np.full(drawn.photons.shape, READ_VARIANCE, dtype=np.float32)
    extras = fit(drawn.photons, variance, middle, middle, rows)
    names = fit.extra_columns
    columns = {} if extras is None else {name: extras[:, k] for k, name in enumerate(names)}
    return box_figures(
        rows, columns, drawn.truth, box_px=side, pixel_nm=drawn.pixel_nm, axial=entrant.finds_z
    )


def box_fit_of(entrant: Entrant, drawn: BoxSet) -> BoxFit:
    """Return what turns boxes into parameters: a network, or the fit of its name.

    Raises
    ------
    ConfigError
        If the entrant has none, or the fit needs curves that this PSF does not have.
    """
    if entrant.folder is not None:
        side = drawn.photons.shape[1]
        fit = NetworkBoxFit(entrant.folder, graph_engine("auto"), drawn.sigma_px)
        if fit.box_px != side:
            raise ConfigError(f"takes boxes of {fit.box_px} pixels, not of {side}")
        return fit
    if not entrant.finds_z:
        return GaussianMle(
            drawn.sigma_px, fit_sigma=False, excess_noise=1.0, max_iterations=ITERATIONS
        )
    if drawn.curves is None:
        raise ConfigError("the PSF is not astigmatic")
    return AstigmaticMle(
        drawn.curves, pixel_nm=drawn.pixel_nm, excess_noise=1.0, max_iterations=ITERATIONS
    )
