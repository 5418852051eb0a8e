"""Lone astigmatic spots at the ends of their range, before a network is asked."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.accuracy.axial_scenes import depth_scene
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Scene, curves_of
from rtsmlm.fitting.fit_first import FirstFits, FitFirst
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import AstigmaticPsf

PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)
CURVES = curves_of(PSF)


def looked_at(scene: Scene) -> tuple[FitFirst, FirstFits]:
    first = FitFirst(scene.calibration, CURVES.mean_nm(), CURVES)
    pixels = np.ascontiguousarray(scene.batch.pixels).view()
    pixels.flags.writeable = False
    found = first.look(pixels)
    return first, first.settle(pixels, found, first.are_lone(found))


@pytest.mark.parametrize("ends_nm", [(-600.0, -500.0), (500.0, 600.0)])
def test_wide_spots_at_the_ends_of_the_range_are_settled(
    rng: np.random.Generator, ends_nm: tuple[float, float]
) -> None:
    scene = depth_scene(rng, 4, PSF, CURVES, ends_nm, (1500.0, 20.0))
    first, fits = looked_at(scene)

    settled = first.table(fits, scene.batch.index)

    assert len(settled) > 0.93 * len(scene.truth)


def test_a_likely_spot_stands_where_a_network_finds_nothing_near(rng: np.random.Generator) -> None:
    scene = depth_scene(rng, 6, PSF, CURVES, (500.0, 600.0), (420.0, 20.0))
    first, fits = looked_at(scene)
    n_likely = int(fits.is_likely.sum())
    assert n_likely > 0.2 * len(scene.truth), "too dim to be settled, bright enough to be likely"
    assert not (fits.is_likely & fits.is_settled).any()

    alone = first.unanswered(fits, Localizations.empty(), scene.batch.index)
    answered = first.unanswered(fits, scene.truth, scene.batch.index)
    elsewhen = scene.truth.columns() | {"frame": scene.truth.frame + 1}
    in_other_frames = first.unanswered(fits, Localizations(**elsewhen), scene.batch.index)

    assert len(alone) == n_likely
    assert len(answered) == 0
    assert len(in_other_frames) == n_likely
