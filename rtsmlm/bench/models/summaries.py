"""What was measured of BGnet and of colours from masks, in a few words for the table of systems."""

from __future__ import annotations

from rtsmlm.bench.models import background_scenes as scenes
from rtsmlm.bench.models.background_sets import BACKGROUNDS, FLAT_FIT, OF_MEDIAN
from rtsmlm.bench.models.colour_sets import (
    COLOURS,
    LEAST_JACCARD,
    LIGHTS,
    RIGHT_COLOUR,
    condition_of,
)
from rtsmlm.bench.models.results import Results, text
from rtsmlm.bench.models.speed import SPOTS


def of_backgrounds(results: Results, model: str) -> str:
    """Return what a fit makes of the backgrounds of a network, and of others."""

    def fit(who: str, kind: str, suffix: str = "") -> str:
        bias, rmse = (
            results.figure(who, BACKGROUNDS, kind, name + suffix)
            for name in (scenes.BIAS, scenes.RMSE_BOUND)
        )
        return f"bias {text(bias, 2)} nm, error {text(rmse)} x the bound"

    level = results.figure(model, BACKGROUNDS, "Perlin", scenes.LEVEL_RMSE)
    return (
        f"Perlin noise: background within {text(level, 2)} %; the fit on it: "
        f"{fit(model, 'Perlin')}; on a flat one: {fit(FLAT_FIT, 'Perlin')}; on the median of the "
        f"surroundings: {fit(FLAT_FIT, 'Perlin', OF_MEDIAN)}. Where the background is flat: "
        f"{fit(model, 'flat')}. {text(results.speed(model, SPOTS))} spots/s on this CPU."
    )


def of_colours(results: Results, model: str) -> str:
    """Return how often a network finds emitters in their colour, by their light."""

    def at(photons: float) -> str:
        right, jaccard = (
            results.figure(model, COLOURS, condition_of(model, photons), name)
            for name in (RIGHT_COLOUR, LEAST_JACCARD)
        )
        return f"{photons:g} photons: {text(right)} % in their colour, Jaccard {text(jaccard, 2)}"

    return "; ".join(at(photons) for photons in LIGHTS) + " (the worse of two colours)."
