"""A network beside a measured PSF: lone emitters are fitted with it, and all rows agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsmlm.bench.accuracy.axial_scenes import depth_scene
from rtsmlm.bench.accuracy.contenders import OurLocalizer
from rtsmlm.bench.accuracy.depth_psf import measured_table
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Scene, curves_of
from rtsmlm.engines.refine import Refiner
from rtsmlm.fitting.boxes import F64
from rtsmlm.localizations import F32, FROM_NETWORK, Localizations
from rtsmlm.physics.astigmatism import Wobble
from rtsmlm.physics.psf import AstigmaticPsf

PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)
OFF_NM = 40.0


class Wandering:
    """Spots that lie beside their emitter by as much as their z says."""

    def render(self, image: F32, x_px: F64, y_px: F64, z_nm: F64, photons: F64) -> None:
        """Add emitters to an image."""
        PSF.render(image, x_px + OFF_NM / PIXEL_NM * z_nm / 400.0, y_px, z_nm, photons)


KNOTS = tuple(float(z) for z in range(-600, 601, 100))
ZEROS, ONES = (0.0,) * len(KNOTS), (1.0,) * len(KNOTS)
CURVES = replace(
    curves_of(PSF),
    wobble=Wobble(
        z_nm=KNOTS,
        x_nm=tuple(OFF_NM * z / 400.0 for z in KNOTS),
        y_nm=ZEROS,
        along_z_nm=ZEROS,
        std_x=ONES,
        std_y=ONES,
        std_z=ONES,
    ),
)


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Return lone emitters of a PSF that wanders with z, and its table."""
    psf = Wandering()
    drawn = depth_scene(np.random.default_rng(3), 4, psf, CURVES, (-400.0, 400.0), (3000.0, 20.0))
    return replace(drawn, table=measured_table(psf, (-800.0, 800.0), np.random.default_rng(4)))


@pytest.mark.parametrize("name", ["spline-mle", "flagship-astig"])
def test_spots_that_wander_with_z_are_found_where_emitters_are(scene: Scene, name: str) -> None:
    localizer = OurLocalizer(name, table=True).open(scene)

    found = localizer(scene.batch)

    assert len(found) > 0.97 * len(scene.truth)
    truth = scene.truth
    for low in (-400.0, -100.0, 200.0):
        errors = []
        for k in np.flatnonzero((found.z_nm >= low) & (found.z_nm < low + 200.0)):
            same = np.flatnonzero(truth.frame == found.frame[k])
            dx, dy = truth.x_nm[same] - found.x_nm[k], truth.y_nm[same] - found.y_nm[k]
            nearest = same[np.argmin(np.hypot(dx, dy))]
            errors.append(found.x_nm[k] - truth.x_nm[nearest])
        # Without the table's own wandering or the wobble they were off by 20 to 40 nm.
        assert abs(np.median(errors)) < 4.0, low


def test_rows_of_the_network_lose_the_wobble_and_those_of_the_table_have_none(scene: Scene) -> None:
    table = scene.table
    assert table is not None
    alone = scene.truth
    off = replace_columns(alone, x_nm=alone.x_nm + OFF_NM * alone.z_nm / 400.0)
    refiner = Refiner(scene.calibration, scene.sigma_nm, CURVES, table=table)
    assert refiner.takes_wobble_off
    assert not Refiner(scene.calibration, scene.sigma_nm, CURVES).takes_wobble_off

    # Pairs 100 nm apart of which the network is sure: no fit of one emitter replaces them.
    pairs = Localizations.concatenate([off, replace_columns(off, x_nm=off.x_nm + 100.0)])
    order = np.argsort(pairs.frame, kind="stable")
    kept = refiner(pairs.take(order), scene.batch)

    moved = kept.x_nm - pairs.take(order).x_nm
    expected = -OFF_NM * pairs.take(order).z_nm / 400.0
    same = np.abs(kept.std_x_nm - 5.0) < 1e-3
    assert same.mean() > 0.5
    np.testing.assert_allclose(moved[same], expected[same], atol=0.1)


def replace_columns(table: Localizations, **columns: F32) -> Localizations:
    """Return a table with other columns, whose network is sure of its rows."""
    n = len(table)
    stated = {
        "std_x_nm": np.full(n, 5.0, np.float32),
        "std_y_nm": np.full(n, 5.0, np.float32),
        "std_z_nm": np.full(n, 10.0, np.float32),
        "std_photons": np.full(n, 60.0, np.float32),
    }
    return Localizations(**{**table.columns(), **stated, **columns})


def test_which_rows_the_network_spoke_of_is_still_told(scene: Scene) -> None:
    found = OurLocalizer("flagship-astig", table=True).open(scene)(scene.batch)

    assert np.mean(found.extras[FROM_NETWORK] == 0.0) > 0.9
