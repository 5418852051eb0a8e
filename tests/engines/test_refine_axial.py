"""Astigmatic emitters that overlap are fitted together where the network has found them."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.analysis.matching import match
from rtsmlm.bench.accuracy.axial_scenes import depth_pair_scene
from rtsmlm.bench.accuracy.contenders import OurLocalizer
from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Scene, curves_of
from rtsmlm.engines.refine_axial import AxialGroups
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import AstigmaticPsf

pytest.importorskip("openvino")
PSF = AstigmaticPsf(pixel_nm=PIXEL_NM)


def errors(scene: Scene, found: Localizations) -> tuple[float, float, float]:
    """Typical errors along x and y and along z, and typical axial error over that stated."""
    pairs = match(found, scene.truth, radius_nm=250.0)
    rows, truth = found.take(pairs.locs), scene.truth.take(pairs.truth)
    lateral = np.concatenate([rows.x_nm - truth.x_nm, rows.y_nm - truth.y_nm])
    dz = rows.z_nm - truth.z_nm
    typical = [1.4826 * float(np.median(np.abs(v))) for v in (lateral, dz, dz / rows.std_z_nm)]
    return typical[0], typical[1], typical[2]


def test_pairs_in_depth_come_near_their_bound_and_state_it(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = depth_pair_scene(rng, 6, PSF, curves_of(PSF), (475.0, 650.0), (3000.0, 20.0))
    assert scene.bound is not None
    fitted = OurLocalizer("flagship-astig").open(scene)(scene.batch)
    monkeypatch.setattr(AxialGroups, "__call__", lambda _, locs, *__, **___: locs)
    network = OurLocalizer("flagship-astig").open(scene)(scene.batch)

    assert len(fitted) == len(network)
    lateral, axial, stated = errors(scene, fitted)
    lateral_before, axial_before, _ = errors(scene, network)
    assert lateral < 0.9 * lateral_before
    assert axial < 0.9 * axial_before
    assert lateral < 1.1 * scene.bound.lateral_nm
    assert stated == pytest.approx(1.0, abs=0.2)
