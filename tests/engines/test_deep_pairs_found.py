"""Two emitters in depth that network and fit take for one are found with a measured PSF."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.analysis.matching import match
from rtsmlm.bench.accuracy.axial_scenes import depth_pair_scene
from rtsmlm.bench.accuracy.contenders import OurLocalizer
from rtsmlm.bench.accuracy.depth_psf import measured_table
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Scene, curves_of
from rtsmlm.engines.refine import Refiner
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import AstigmaticPsf

pytest.importorskip("openvino")
PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Return pairs 250 to 350 nm apart, and the table of their PSF."""
    rng = np.random.default_rng(5)
    drawn = depth_pair_scene(rng, 8, PSF, curves_of(PSF), (250.0, 350.0), (3000.0, 20.0))
    return replace(drawn, table=measured_table(PSF, (-800.0, 800.0), np.random.default_rng(6)))


def test_pairs_that_the_network_takes_for_one_are_found_at_both_places(scene: Scene) -> None:
    found = [
        OurLocalizer("flagship-astig", table=table).open(scene)(scene.batch)
        for table in (True, False)
    ]

    with_table, with_curves = (match(rows, scene.truth, radius_nm=150.0) for rows in found)
    n = len(scene.truth)
    assert len(with_curves.truth) < 0.93 * n
    assert len(with_table.truth) > 0.97 * n


def test_one_row_in_the_middle_of_two_becomes_both_and_lone_ones_stay(scene: Scene) -> None:
    truth, table = scene.truth, scene.table
    assert table is not None
    first, second = truth.take(slice(0, None, 2)), truth.take(slice(1, None, 2))
    np.testing.assert_array_equal(first.frame, second.frame)
    stated = np.full(len(first), 10.0, dtype=np.float32)
    middles = Localizations(
        **{
            **first.columns(),
            "x_nm": 0.5 * (first.x_nm + second.x_nm),
            "y_nm": 0.5 * (first.y_nm + second.y_nm),
            "z_nm": 0.5 * (first.z_nm + second.z_nm),
            "photons": first.photons + second.photons,
            "background": np.full(len(first), 20.0, dtype=np.float32),
            "std_x_nm": stated,
            "std_y_nm": stated,
            "std_z_nm": 2.0 * stated,
        }
    )
    refiner = Refiner(scene.calibration, scene.sigma_nm, scene.curves, table=table)
    which = np.arange(len(middles)) % 2 == 0

    found = refiner.split(middles, scene.batch, which)

    n = len(middles)
    moved = np.hypot(found.x_nm[:n] - middles.x_nm, found.y_nm[:n] - middles.y_nm)
    assert len(found) - n > 0.8 * which.sum()
    assert np.count_nonzero(moved) == len(found) - n
    assert not moved[~which].any()
    pairs = match(found.take(slice(n, None)), truth, radius_nm=100.0)
    assert len(pairs.truth) > 0.95 * (len(found) - n)

    without = Refiner(scene.calibration, scene.sigma_nm, scene.curves)
    assert without.split(middles, scene.batch, which) is middles


def test_rows_of_a_frame_are_the_same_in_any_batch(scene: Scene) -> None:
    localizer = OurLocalizer("flagship-astig", table=True).open(scene)
    whole = localizer(scene.batch)

    parts = [localizer(scene.batch, slice(k, k + 3)) for k in range(0, len(scene.batch), 3)]

    together = Localizations.concatenate(parts)
    assert len(together) == len(whole)
    for name, column in whole.columns().items():
        np.testing.assert_array_equal(getattr(together, name), column, name)
