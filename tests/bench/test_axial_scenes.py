"""Scenes in depth hold what they say, and their bounds are those of their PSF."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.accuracy import figures
from rtsmlm.bench.accuracy.axial_checks import (
    DEPTH,
    DEPTH_PAIRS,
    TUBULES,
    axial_checks,
    bead_checks,
)
from rtsmlm.bench.accuracy.axial_scenes import depth_pair_scene, depth_scene, tubule_scene
from rtsmlm.bench.accuracy.deep_scene import DENSE, SPARSE
from rtsmlm.bench.accuracy.depth_psf import DepthPsf, measured_table
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, curves_of
from rtsmlm.physics.fisher import astigmatic_crlb
from rtsmlm.physics.psf import AstigmaticPsf
from rtsmlm.physics.psf_bound import psf_crlb

PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)
CURVES = curves_of(PSF)
LIGHT = (2000.0, 20.0)


def test_the_bound_by_differences_is_that_of_the_formula() -> None:
    place = np.array([15.2]), np.array([14.9]), np.array([-250.0])

    found = psf_crlb(PSF, *place, *LIGHT, box_px=31)[0]

    true = astigmatic_crlb(
        *LIGHT, -250.0, CURVES, pixel_nm=PIXEL_NM, box_px=31, x_px=15.2, y_px=14.9
    )
    assert found == pytest.approx([true.x_px[0], true.y_px[0], true.z_nm[0]], rel=0.01)


def test_lone_emitters_lie_in_their_part_of_z_and_errors_are_judged_by_the_bound(
    rng: np.random.Generator,
) -> None:
    scene = depth_scene(rng, 6, PSF, CURVES, (-600.0, -450.0), LIGHT)
    truth = scene.truth
    assert scene.bound is not None
    assert truth.z_nm.min() >= -600.0
    assert truth.z_nm.max() <= -450.0

    lateral, axial = scene.bound.lateral_nm, scene.bound.axial_nm
    n = len(truth)
    columns = truth.columns() | {
        # 20 nm beside the truth, all of them: no error of a localizer.
        "x_nm": (truth.x_nm + 20.0 + rng.normal(0, 1.5 * lateral, n)).astype(np.float32),
        "y_nm": (truth.y_nm - 20.0 + rng.normal(0, 1.5 * lateral, n)).astype(np.float32),
        "z_nm": (truth.z_nm + rng.normal(0, 2.0 * axial, n)).astype(np.float32),
        "std_x_nm": np.full(n, lateral, np.float32),
        "std_y_nm": np.full(n, lateral, np.float32),
        "std_z_nm": np.full(n, 4.0 * axial, np.float32),
    }
    found = type(truth)(**columns).take(np.arange(n) % 4 > 0)
    got = figures.depth(scene, found)

    assert got[figures.RECALL] == pytest.approx(0.75, abs=0.01)
    assert got[figures.LATERAL] == pytest.approx(1.5, rel=0.15)
    assert got[figures.STD_Z] == pytest.approx(1.5, rel=0.15)
    assert got[figures.AXIAL] == pytest.approx(2.0, rel=0.2)
    assert got[figures.STD_Z + figures.ALONG_Z] == pytest.approx(0.5, rel=0.2)


def test_pairs_lie_as_far_apart_as_asked_at_depths_of_their_own(rng: np.random.Generator) -> None:
    scene = depth_pair_scene(rng, 3, PSF, CURVES, (300.0, 475.0), LIGHT)
    first, second = scene.truth.take(slice(0, None, 2)), scene.truth.take(slice(1, None, 2))

    apart = np.hypot(second.x_nm - first.x_nm, second.y_nm - first.y_nm)
    assert apart.min() > 299.0
    assert apart.max() < 476.0
    assert abs(np.corrcoef(first.z_nm, second.z_nm)[0, 1]) < 0.3
    alone = astigmatic_crlb(*LIGHT, first.z_nm, CURVES, pixel_nm=PIXEL_NM, box_px=31)
    assert scene.bound is not None
    assert scene.bound.axial_nm > 1.1 * np.sqrt(np.mean(alone.z_nm**2))


def test_tubules_are_shown_dense_and_sparse_with_the_curves_of_their_psf(
    rng: np.random.Generator,
) -> None:
    dense = tubule_scene(rng, 40, PSF, CURVES, per_frame=DENSE)
    sparse = tubule_scene(rng, 40, PSF, CURVES, per_frame=SPARSE)

    assert dense.curves == CURVES
    assert dense.sigma_nm == pytest.approx(CURVES.mean_nm())
    assert len(dense.truth) == pytest.approx(40 * 12.6, abs=1)
    assert len(sparse.truth) == pytest.approx(40 * 1.25, abs=1)


def test_every_check_names_a_figure_that_its_score_gives() -> None:
    checks = axial_checks(iter(np.random.default_rng(0).spawn(20)), 1)
    table = measured_table(PSF, (-600.0, 600.0), np.random.default_rng(0))
    checks += bead_checks(lambda: DepthPsf(psf=PSF, curves=CURVES, table=table), 1, 10, 0)

    assert {check.section for check in checks} == {DEPTH, DEPTH_PAIRS, TUBULES}
    for check in checks[:1] + checks[-1:]:
        scene = check.scene()
        given = check.score(scene, scene.truth)
        assert {goal.figure for goal in check.goals} <= set(given), check.condition
