"""The sets of the benchmark on backgrounds: what a fit makes of what it is given of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.models.background_scenes import (
    KINDS,
    READ_VARIANCE,
    SIGMA_PX,
    Fields,
    background_figures,
    draw_fields,
    inner,
    median_background,
)
from rtsmlm.bench.models.entrants import BACKGROUND, Entrant
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.engines.box_networks import NetworkBackground
from rtsmlm.engines.graph_runner import graph_engine
from rtsmlm.errors import ConfigError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.box_fit import BackgroundFit, BoxFit, GaussianMle, WithBackground
from rtsmlm.localizations import F32

BACKGROUNDS = "Box to background"
FLAT_FIT = "gaussian-mle"
SIDE_PX = 11
"""Boxes of the fits without a network, and the side that most networks have."""
OF_MEDIAN = ", median around"
"""Figures of the fit on the median of the surroundings of each pixel."""
ITERATIONS = 30


def background_trials(entrants: Sequence[Entrant], seed: int, *, quick: bool) -> list[Trial]:
    """Return all sets of backgrounds; none without a network that finds them.

    Parameters
    ----------
    entrants
        Networks of backgrounds, and the fit that takes them.
    seed
        Of all fields.
    quick
        Fewer fields.
    """
    if not any(entrant.task == BACKGROUND for entrant in entrants):
        return []
    rngs = np.random.default_rng((seed, 3)).spawn(len(KINDS))
    n, repeats = (8, 6) if quick else (80, 25)

    def trial(kind: str, rng: np.random.Generator) -> Trial:
        def prepare() -> Judge:
            fields = draw_fields(KINDS[kind], rng, n, repeats)
            return lambda entrant: judge(entrant, fields)

        return Trial(section=BACKGROUNDS, condition=kind, prepare=prepare, enters=_enters)

    return [trial(kind, rng) for kind, rng in zip(KINDS, rngs, strict=True)]


def judge(entrant: Entrant, fields: Fields) -> Figures:
    """Return the figures of a fit: on what a network states, or on a flat background.

    Those of a flat background are followed by those of a median, with `OF_MEDIAN` at their names.

    Raises
    ------
    ConfigError
        If the boxes of a network are larger than the fields.
    """
    fit = GaussianMle(SIGMA_PX, fit_sigma=False, excess_noise=1.0, max_iterations=ITERATIONS)
    if entrant.folder is None:
        known = _Known(median_background(fields, SIDE_PX))
        by_median = _figures(WithBackground(fit, known), known, fields, SIDE_PX)
        return _figures(fit, None, fields, SIDE_PX) | {
            name + OF_MEDIAN: value for name, value in by_median.items()
        }
    network = NetworkBackground(entrant.folder, graph_engine("auto"))
    if network.box_px % 2 == 0 or network.box_px > fields.background.shape[-1]:
        raise ConfigError(f"takes boxes of {network.box_px} pixels, which no set here has")
    asked = _Asked(network)
    return _figures(WithBackground(fit, asked), asked, fields, network.box_px)


class _Known:
    """A background that was found before."""

    method = "known"

    def __init__(self, background: F32) -> None:
        self.found = background

    def __call__(self, photons: F32, variance: F32) -> F32:
        return self.found


class _Asked:
    """A background fit whose answer is kept, to be scored."""

    def __init__(self, background: BackgroundFit) -> None:
        self._background = background
        self.method = background.method
        self.found: F32

    def __call__(self, photons: F32, variance: F32) -> F32:
        self.found = self._background(photons, variance)
        return self.found


def _figures(fit: BoxFit, given: _Known | _Asked | None, fields: Fields, side: int) -> Figures:
    photons = inner(fields.photons, side).reshape(-1, side, side).astype(np.float32)
    variance = np.full(photons.shape, READ_VARIANCE, dtype=np.float32)
    rows = boxes.fit_table(len(photons))
    middle = np.full(len(photons), (side - 1) / 2.0, dtype=np.float32)
    fit(photons, variance, middle, middle, rows)
    return background_figures(rows, None if given is None else given.found, fields, side)


def _enters(entrant: Entrant) -> bool:
    return entrant.task == BACKGROUND or entrant.name == FLAT_FIT
