"""Calibrates what a trained network states, on simulations: thresholds, errors and photons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32
from rtsmlm.models.manifest import DecodeEntry
from rtsmlm.models.rows import CROWD_KNOTS, DecodeSettings, Row, is_sure
from rtsmlm.models.simulation.ranges import SimulationRanges
from rtsmlm.models.simulation.training_windows import Windows
from rtsmlm.models.training.scoring import PairReach, RowsOf, Scored, score
from rtsmlm.models.training.trainable import Sampler

SPARSE_DENSITY = (0.02, 0.2)
LONELY = 0.2
"""Expected neighbours below which an emitter is isolated."""
OUTLIER = 6.0
"""Isolated errors beyond so many of their usual size are pairs of the wrong emitter."""
MAD = 1.4826
"""Standard deviation over median absolute deviation of normal numbers."""
MIN_ROWS = 200
TIE = 0.002
"""Jaccard indices that differ by less are taken for equal."""
VAGUE_SNRS = tuple(0.5 * i for i in range(17))
"""What `DecodeEntry.vague_snr` is chosen from; 0 doubts no row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Values of which those of the largest Jaccard index are taken; none keeps what is given."""

    min_probability: tuple[float, ...] = ()
    vague_snr: tuple[float, ...] = ()
    vague_crowd_probability: tuple[float, ...] = ()


def tune(
    ranges: SimulationRanges,
    sampler_of: Callable[[SimulationRanges], Sampler[Windows]],
    rows_of: RowsOf,
    *,
    axial: bool,
    given: DecodeEntry | None = None,
    choices: Choices | None = None,
    reach: PairReach | None = None,
    n_windows: int = 1024,
    seed: int = 5,
) -> DecodeEntry:
    """Return thresholds, and the factors that make the stated errors honest, for the manifest.

    Parameters
    ----------
    ranges
        What the network was trained on.
    sampler_of
        Draws windows of ranges.
    rows_of
        The network and its decoder.
    axial
        Whether it finds z.
    given
        Thresholds that are not chosen.
    choices
        Those that are.
    reach
        How far a row may lie from its emitter.
    n_windows
        Simulated windows to measure on, and as many sparse ones; as many once more where
        `min_probability` is chosen.
    seed
        Of the simulation.

    Notes
    -----
    A factor is the root mean square of error over stated standard deviation of the rows that are
    reported, and grows with the number of neighbours: pairs that are taken for one emitter are
    errors too.

    A decoder may share the light of a frame among all rows that are probable enough. So rows are
    decoded anew with the probability that was chosen before anything else is measured on them.
    """
    # A condition that is not quite true is for the validity meter to see.
    honest = {"moving_fraction": 0.0, "repeated_fraction": 0.0, "foreign_fraction": 0.0}
    ranges = ranges.model_copy(update=honest)
    sparse = ranges.model_copy(update={"density": SPARSE_DENSITY, "clustered_fraction": 0.0})
    choices = choices or Choices()

    def scored(drawn: SimulationRanges, settings: DecodeSettings, seed: int) -> Scored:
        rows = partial(rows_of, settings=settings)
        return score(sampler_of(drawn), rows, reach or PairReach(), n_windows=n_windows, seed=seed)

    entry = given or DecodeEntry()
    if choices.min_probability:
        lowest = replace(entry.settings(), min_probability=min(choices.min_probability))
        chosen = _chosen(scored(ranges, lowest, seed + 2), entry, choices)
        entry = entry.model_copy(update={"min_probability": chosen.min_probability})
        choices = replace(choices, min_probability=())
    lone = scored(sparse, entry.settings(), seed)
    crowd = scored(ranges, entry.settings(), seed + 1)
    entry = _chosen(crowd, entry.model_copy(update=_of_photons(lone)), choices)
    lone, crowd = (found.take(_reported(found.rows, entry)) for found in (lone, crowd))
    axes = [(0, Row.STD_X), (1, Row.STD_Y)]
    factors = {"std_scale": _factors(lone, crowd, axes)}
    if axial:
        factors["std_scale_z"] = _factors(lone, crowd, [(2, Row.STD_Z)])
    return entry.model_copy(update=factors)


def _of_photons(lone: Scored) -> dict[str, float]:
    """Return the factors on photons and on their standard deviations."""
    found = lone.take(lone.paired)
    photons, error = found.rows[:, Row.PHOTONS], found.error[:, 3]
    median = float(np.median(photons / (photons - error))) if len(photons) else 1.0
    # 1 for a network that has found nothing yet.
    scale = round(1.0 / median, 4) if median > 0 else 1.0
    z = _normalized(found, (3, Row.STD_PHOTONS))
    return {"std_scale_photons": round(_spread(z), 3), "photons_scale": scale}


def _chosen(crowd: Scored, entry: DecodeEntry, choices: Choices) -> DecodeEntry:
    """Return an entry with the thresholds of the largest Jaccard index.

    Of those that are equal the one that reports the fewest rows is taken, which has the fewest in
    frames without emitters.
    """
    trials = []
    for probability, snr, in_crowd in product(
        choices.min_probability or (entry.min_probability,),
        choices.vague_snr or (entry.vague_snr,),
        choices.vague_crowd_probability or (entry.vague_crowd_probability,),
    ):
        update = {
            "min_probability": round(probability, 3),
            "vague_snr": snr,
            "vague_crowd_probability": in_crowd,
        }
        trial = entry.model_copy(update=update)
        kept = _reported(crowd.rows, trial)
        trials.append((crowd.jaccard(kept), int(np.count_nonzero(kept)), trial))
    best = max(jaccard for jaccard, _, _ in trials)
    equal = [(n, trial) for jaccard, n, trial in trials if jaccard >= best - TIE]
    return min(equal, key=lambda pair: pair[0])[1]


def _reported(rows: F32, entry: DecodeEntry) -> NDArray[np.bool_]:
    probable = rows[:, Row.PROBABILITY] > entry.min_probability
    return np.asarray(probable & is_sure(rows, entry.settings()))


def _factors(lone: Scored, crowd: Scored, axes: list[tuple[int, Row]]) -> tuple[float, ...]:
    """Return the factors at `CROWD_KNOTS`; the first one is of isolated emitters."""
    lone, crowd = lone.take(lone.paired), crowd.take(crowd.paired)
    alone = lone.take(lone.rows[:, Row.CROWD] < LONELY)
    z = np.concatenate([_normalized(crowd, axis) for axis in axes])
    neighbours = np.tile(crowd.rows[:, Row.CROWD], len(axes))
    factors = [_spread(np.concatenate([_normalized(alone, axis) for axis in axes]))]
    edges = [*(0.5 * (a + b) for a, b in pairwise(CROWD_KNOTS)), np.inf]
    for low, high in pairwise(edges):
        here = (neighbours > low) & (neighbours <= high)
        enough = np.count_nonzero(here) >= MIN_ROWS
        factors.append(float(np.sqrt(np.mean(z[here] ** 2))) if enough else factors[-1])
    return tuple(round(factor, 3) for factor in factors)


def _normalized(scored: Scored, axis: tuple[int, Row]) -> F32:
    """Return errors along an axis over their stated standard deviations."""
    column, std = axis
    return np.asarray(scored.error[:, column] / scored.rows[:, std])


def _spread(z: NDArray[np.floating]) -> float:
    """Return the root mean square without outliers; 1 of nothing."""
    size = np.abs(z[np.isfinite(z)])
    inside = size[size < OUTLIER * MAD * np.median(size)] if len(size) else size
    return float(np.sqrt(np.mean(np.square(inside)))) if len(inside) else 1.0
