"""Packaged networks of dyes on the simulated microscopes that they are made for."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from rtsmlm.drivers.simulated.microscope import SimMicroscope
from rtsmlm.drivers.simulated.settings import MicroscopeSettings
from rtsmlm.frames import FrameBatch
from rtsmlm.models.catalog import model_folders
from rtsmlm.pipeline.localizer import open_localizer
from rtsmlm.settings.load import load, packaged

NEAR_PX, FAR_PX = 1.0, 8.0
COMMON = {"width": 320, "height": 256, "emitter_count": 1500, "all_on": False, "seed": 3}


def named_dyes(
    settings: MicroscopeSettings, config: str, n_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return true and stated channel of rows that have no neighbour near, brighter than most."""
    microscope = SimMicroscope(settings, power_mw={405: 0.002, 640: 60.0}, keep_frames=None)
    batch = FrameBatch.from_pixels(microscope.frames(n_frames))
    run = load(packaged(config), ["localizer.name=gaussian-mle"])
    rows = open_localizer(run, microscope.calibration(), run.psf.sigma_nm or 130.0)(batch)
    truth, stated = [], []
    for frame in range(n_frames):
        there, found = microscope.emitters_in(frame, 50.0), rows.take(rows.frame == frame)
        if len(there) < 2 or not len(found):
            continue
        tree = cKDTree(np.stack([there.x_nm, there.y_nm], axis=1) / 100.0)
        away, which = tree.query(np.stack([found.x_nm, found.y_nm], axis=1) / 100.0, k=2)
        lone = (away[:, 0] < NEAR_PX) & (away[:, 1] > FAR_PX) & (found.channel != 255)
        truth.append(there.channel[which[lone, 0]])
        stated.append(found.channel[lone])
    return np.concatenate(truth), np.concatenate(stated)


@pytest.mark.skipif("zhang" not in model_folders(), reason="its weights are not there yet")
def test_dyes_are_told_apart_by_the_spectra_that_the_grating_shows() -> None:
    settings = MicroscopeSettings(
        **COMMON, views=2, dispersion_nm_per_px=5.0, emission="AF647", second_emission="CF660C",
        exposure_ms=20.0,
    )  # fmt: skip
    truth, stated = named_dyes(settings, "sim_spectral.toml", 40)
    assert len(truth) > 40
    assert np.mean(truth == stated) > 0.9


@pytest.mark.skipif("kim" not in model_folders(), reason="its weights are not there yet")
def test_dyes_are_told_apart_by_the_shape_of_their_spots() -> None:
    settings = MicroscopeSettings(
        **{**COMMON, "width": 128, "height": 128}, psf="dyes", na=1.4, depth_nm=600.0,
        focus_nm=-300.0, emission="mEos3.2", second_emission="AF647", exposure_ms=40.0,
    )  # fmt: skip
    truth, stated = named_dyes(settings, "sim_two_dyes.toml", 100)
    assert len(truth) > 40
    assert np.mean(truth == stated) > 0.8
