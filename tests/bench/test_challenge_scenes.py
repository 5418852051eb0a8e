"""Scenes in depth against the frames and the truth that the SMLM-2016 challenge published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import tifffile
from scipy.stats import ks_2samp

from rtsmlm.bench.accuracy import deep_scene as deep
from rtsmlm.bench.accuracy.depth_psf import LitPsf, light_of_beads
from rtsmlm.bench.accuracy.reference_data import lit_psf
from rtsmlm.files.tables.read import read_table
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import AstigmaticPsf

F64: TypeAlias = np.ndarray
SIDE_PX = 64


@pytest.fixture(scope="module")
def ours() -> list[deep.Emitters]:
    """Emitters of six sets of tubules."""
    return [deep.deep_emitters(np.random.default_rng(seed), 250) for seed in range(6)]


@pytest.fixture(scope="module")
def harder() -> list[deep.Emitters]:
    """Emitters of the sample that is harder than the challenge."""
    return [
        deep.deep_emitters(np.random.default_rng(seed), 250, sample=deep.EVERY_DEPTH)
        for seed in range(6)
    ]


@pytest.fixture
def published(data_dir: Callable[[str], Path]) -> tuple[F64, Localizations]:
    """Frames in photo-electrons, and their truth."""
    folder = data_dir("challenge2016_mt0_n1_ld_as")
    # The camera of the challenge rounds down.
    electrons = (tifffile.imread(folder / "frames.tif") + 0.5 - 100.0) * (45 / 300)
    return electrons, read_table(folder / "truth.csv", 100.0).localizations


def likeness(published: F64, drawn: list[F64]) -> float:
    """Return the probability that two samples of one distribution differ so much."""
    return float(ks_2samp(published, np.concatenate(drawn)).pvalue)


def test_photons_of_an_emitter_in_a_frame_are_those_of_the_challenge(
    published: tuple[F64, Localizations], ours: list[deep.Emitters], harder: list[deep.Emitters]
) -> None:
    photons = published[1].photons

    assert likeness(photons, [part.photons for part in ours]) > 0.05
    assert likeness(photons, [part.photons for part in harder]) < 1e-3
    mean = np.mean(np.concatenate([part.photons for part in ours]))
    assert mean == pytest.approx(photons.mean(), rel=0.2)


def test_fluorophores_lie_as_far_from_focus_as_those_of_the_challenge(
    published: tuple[F64, Localizations], ours: list[deep.Emitters], harder: list[deep.Emitters]
) -> None:
    truth = published[1]
    _, first = np.unique(truth.x_nm, return_index=True)
    depth = np.abs(truth.z_nm[first])

    def depths(parts: list[deep.Emitters]) -> list[F64]:
        firsts = [np.unique(part.x_px, return_index=True)[1] for part in parts]
        return [np.abs(part.z_nm[rows]) for part, rows in zip(parts, firsts, strict=True)]

    assert likeness(depth, depths(ours)) > 0.05
    assert likeness(depth, depths(harder)) < 1e-3


def test_the_background_and_its_noise_are_those_of_the_challenge(
    published: tuple[F64, Localizations],
) -> None:
    electrons, truth = published
    far = np.ones(electrons.shape, dtype=np.bool_)
    y, x = np.indices((SIDE_PX, SIDE_PX)) * 100.0
    for frame, x_nm, y_nm in zip(truth.frame, truth.x_nm, truth.y_nm, strict=True):
        far[frame] &= np.hypot(x - x_nm, y - y_nm) > 1800.0
    drawn = deep.deep_scene(
        AstigmaticPsf(pixel_nm=100.0), 1.5, np.random.default_rng(0), 40, per_frame=0.05
    )
    ours = drawn.calibration.to_photons(drawn.batch.pixels).astype(np.float64)

    assert electrons[far].mean() == pytest.approx(deep.CHALLENGE.background, rel=0.005)
    assert np.median(ours) == pytest.approx(np.median(electrons[far]), rel=0.02)
    spread, published_spread = (
        np.subtract(*np.percentile(v, [75, 25])) for v in (ours, electrons[far])
    )
    assert spread == pytest.approx(published_spread, rel=0.03)


def test_the_frames_of_the_challenge_are_drawn_to_within_their_noise(
    published: tuple[F64, Localizations], data_dir: Callable[[str], Path]
) -> None:
    electrons, truth = published
    psf, _ = lit_psf(data_dir("challenge2016_beads").parent, "beads_as.tif")

    def drawn(image_of: LitPsf) -> F64:
        mean = np.full(electrons.shape, deep.CHALLENGE.background, dtype=np.float32)
        for k, frame in enumerate(mean):
            here = truth.take(truth.frame == k)
            # The truth of the challenge is no centre of its images: 28 and -45 nm beside them.
            x, y = (here.x_nm + 28.0) / 100.0, (here.y_nm - 45.0) / 100.0
            places = (np.asarray(v, dtype=np.float64) for v in (x, y, here.z_nm, here.photons))
            image_of.render(frame, *places)
        return mean

    ours = drawn(psf)
    light = float((electrons - deep.CHALLENGE.background).sum())
    assert (ours - deep.CHALLENGE.background).sum() == pytest.approx(light, rel=0.03)
    near = ours > deep.CHALLENGE.background + 5.0
    # Multiplication in the camera doubles the variance.
    assert ((electrons - ours) ** 2 / (2 * ours))[near].mean() == pytest.approx(1.0, abs=0.08)
    plain = drawn(LitPsf(psf=psf.psf, z_nm=psf.z_nm, light=np.ones_like(psf.light)))
    assert ((electrons - plain) ** 2 / (2 * plain))[near].mean() > 1.25


def test_light_by_depth_is_that_of_the_beads() -> None:
    psf, z = AstigmaticPsf(pixel_nm=100.0), np.array([-300.0, 0.0, 300.0])
    stack = np.zeros((3, 60, 60), dtype=np.float32)
    x, y = np.array([20.3, 40.7]), np.array([21.1, 39.6])
    for plane, depth, light in zip(stack, z, (1.5, 1.2, 0.9), strict=True):
        psf.render(plane, x, y, np.full(2, depth), np.full(2, 1e4 * light))

    found = light_of_beads(stack, psf, z, 1e4)

    assert found == pytest.approx([1.5, 1.2, 0.9], rel=0.02)
    image = np.zeros((41, 41), dtype=np.float32)
    lit = LitPsf(psf=psf, z_nm=z, light=found)
    lit.render(image, *(np.array([v]) for v in (20.0, 20.0, 150.0, 100.0)))
    assert image.sum() == pytest.approx(105.0, rel=0.02)
