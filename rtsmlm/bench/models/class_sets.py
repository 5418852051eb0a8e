"""The sets of the benchmark whose question is which dye a spot is.

A network is measured with the dyes, optics and dispersion that its recipe states, drawn anew.
Beside it stands what the photons of a box allow, or what the centroid makes of the same spectra.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rtsmlm.bench.accuracy.figures import Figures
from rtsmlm.bench.models.class_figures import (
    CENTROID,
    DEPTH,
    HONEST,
    WHOLE,
    class_figures,
    honesty,
    rms,
)
from rtsmlm.bench.models.class_scenes import ClassSet, dye_boxes, dye_spectra, network_of
from rtsmlm.bench.models.entrants import Entrant
from rtsmlm.bench.models.trials import Judge, Trial
from rtsmlm.engines.class_networks import TASK, input_of
from rtsmlm.engines.graph_runner import graph_engine
from rtsmlm.fitting.spectral_centroid import fit_rule, whole_spectrum_rule

CLASSES = "Box or spectrum to dye"
BOX_PHOTONS, SPECTRUM_PHOTONS = (1000.0, 2000.0, 4000.0, 10000.0), (500.0, 1000.0, 2000.0)
PAIR = 2
"""The first two dyes are asked for alone, too."""


def class_trials(entrants: Sequence[Entrant], seed: int, *, quick: bool) -> list[Trial]:
    """Return all sets of dyes.

    Parameters
    ----------
    entrants
        Each network that tells dyes gets sets of its own.
    seed
        Of all sets.
    quick
        Fewer boxes.
    """
    trials: list[Trial] = []
    n = 300 if quick else 3000
    for entrant in entrants:
        if entrant.task != TASK or entrant.manifest is None:
            continue
        if input_of(entrant.manifest)[0] == "photons":
            rngs = entrant.rngs(seed, len(BOX_PHOTONS))
            for photons, rng in zip(BOX_PHOTONS, rngs, strict=True):
                trials.append(_boxes(entrant, photons, rng, n))
            continue
        rngs = entrant.rngs(seed, 2 * len(SPECTRUM_PHOTONS))
        asked = [(photons, dyes) for dyes in (PAIR, None) for photons in SPECTRUM_PHOTONS]
        for (photons, dyes), rng in zip(asked, rngs, strict=True):
            trials.append(_spectra(entrant, photons, dyes, rng, n))
    return trials


def _boxes(entrant: Entrant, photons: float, rng: np.random.Generator, n: int) -> Trial:
    def prepare() -> Judge:
        drawn = dye_boxes(entrant, rng, n, photons)
        return lambda one: judge_boxes(one, drawn)

    return _trial(entrant, f"{entrant.label}: {photons:.0f} photons", prepare)


def _spectra(
    entrant: Entrant, photons: float, dyes: int | None, rng: np.random.Generator, n: int
) -> Trial:
    def prepare() -> Judge:
        known = dye_spectra(entrant, rng, n, photons, dyes)
        drawn = dye_spectra(entrant, rng, n, photons, dyes)
        return lambda one: judge_spectra(one, drawn, known, dyes)

    asked = "all dyes" if dyes is None else f"first {dyes} dyes"
    return _trial(entrant, f"{entrant.label}: {asked}, {photons:.0f} photons", prepare)


def _trial(entrant: Entrant, condition: str, prepare: Callable[[], Judge]) -> Trial:
    return Trial(
        section=CLASSES, condition=condition, prepare=prepare, enters=lambda one: one == entrant
    )


def judge_boxes(entrant: Entrant, drawn: ClassSet) -> Figures:
    """Return the figures of a network on boxes, beside what the photons allow."""
    found = network_of(entrant, graph_engine("auto"))(drawn.given)
    dye, probability = found.channel.astype(np.int64), found.probability.astype(np.float64)
    figures = class_figures(dye, probability, drawn.dye)
    figures |= {HONEST: honesty(dye, probability, drawn.dye), **drawn.bounds}
    if found.z_nm is not None and drawn.z_nm is not None:
        upper = (drawn.z_nm > drawn.z_nm.mean()) & (dye == drawn.dye)
        figures[DEPTH] = rms((found.z_nm - drawn.z_nm)[upper])
    return figures


def judge_spectra(entrant: Entrant, drawn: ClassSet, known: ClassSet, dyes: int | None) -> Figures:
    """Return the figures of a network on spectra, beside those of the centroid method.

    Parameters
    ----------
    entrant
        The network.
    drawn
        What is asked.
    known
        Spectra of known dyes, which the centroid method is set by.
    dyes
        How many dyes the answer may be; None for all.
    """
    network = network_of(entrant, graph_engine("auto"))
    probabilities = network.probabilities(drawn.given)[:, :dyes].astype(np.float64)
    probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
    dye, surety = probabilities.argmax(axis=1), probabilities.max(axis=1)
    figures = class_figures(dye, surety, drawn.dye)
    figures[HONEST] = honesty(dye, surety, drawn.dye)
    for way, suffix in ((fit_rule, CENTROID), (whole_spectrum_rule, WHOLE)):
        rule = way(known.given, known.dye, network.wavelengths_nm())
        by_centroid = class_figures(*rule(drawn.given), drawn.dye)
        figures |= {name + suffix: value for name, value in by_centroid.items()}
    return figures
