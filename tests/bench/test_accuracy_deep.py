"""The deep scene: as crowded, as bright, as deep and as restless as it says."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from rtsmlm.bench.accuracy import deep_scene as deep
from rtsmlm.bench.accuracy import tubules
from rtsmlm.bench.accuracy.figures import JACCARD, challenge
from rtsmlm.calibrate.bead_psf import psf_from_beads
from rtsmlm.physics.psf import AstigmaticPsf, GaussianPsf, Psf


@pytest.fixture(scope="module")
def emitters() -> deep.Emitters:
    return deep.deep_emitters(np.random.default_rng(5), 250)


def test_a_frame_holds_so_many_emitters_from_the_first_to_the_last(
    emitters: deep.Emitters,
) -> None:
    assert len(emitters.frame) / 250 == pytest.approx(12.6, abs=0.01)
    counts = np.bincount(emitters.frame, minlength=250)
    # Poisson and the few frames that an emitter lasts; none is empty, the ends are no thinner.
    assert counts.min() > 2
    assert counts[:40].mean() == pytest.approx(12.6, abs=2.5)
    assert counts[-40:].mean() == pytest.approx(12.6, abs=2.5)


def test_one_tubule_crosses_the_depth_and_two_stay_near_the_focus() -> None:
    z = tubules.three_tubules(6400.0, 6000, np.random.default_rng(3))[:, 2]

    assert z.min() == pytest.approx(-640.0, abs=20.0)
    assert z.max() == pytest.approx(575.0, abs=20.0)
    # Of the tubule that crosses all, a third of the labels and a third of these beyond 400 nm.
    assert np.mean(np.abs(z) > 400.0) == pytest.approx(0.11, abs=0.04)
    assert np.mean(np.abs(z) < 210.0) == pytest.approx(0.7, abs=0.1)


def test_tubules_are_as_thick_as_microtubules_and_as_long_as_the_field() -> None:
    place = tubules.three_tubules(6400.0, 4000, np.random.default_rng(4))
    cells = np.unique(np.floor(place[:, :2] / 100.0), axis=0)

    # 18 to 24 um of lines, each of which touches 1.3 cells of 100 nm for each 100 nm of it.
    assert 180 < len(cells) < 330
    assert place[:, :2].min() > -tubules.TUBULE_RADIUS_NM
    assert place[:, :2].max() < 6400.0 + tubules.TUBULE_RADIUS_NM


def test_the_harder_sample_has_as_many_emitters_at_each_depth() -> None:
    emitters = deep.deep_emitters(np.random.default_rng(5), 250, sample=deep.EVERY_DEPTH)

    shares = np.histogram(emitters.z_nm, bins=7, range=(-700, 700))[0] / len(emitters.z_nm)
    assert shares == pytest.approx(1 / 7, abs=0.05)
    assert np.abs(emitters.z_nm).max() <= 700.0


def test_photons_lie_between_one_percent_and_the_full_flux(emitters: deep.Emitters) -> None:
    flux = deep.CHALLENGE.flux
    assert emitters.photons.min() >= 0.01 * flux
    assert emitters.photons.max() <= flux
    assert 0.3 * flux < np.median(emitters.photons) < 0.5 * flux


def test_blinking_follows_the_kinetics_of_the_challenge(rng: np.random.Generator) -> None:
    n, frames = 20_000, 400

    blinks = deep.blink(rng, n, frames)

    # Mean visit 1 frame, 1.5 visits; those switched on in the warm-up are partly gone.
    total = np.bincount(blinks.fluorophore, weights=blinks.on, minlength=n)
    seen = frames / (frames + deep.WARM_UP)
    assert total.mean() == pytest.approx(1.5 * seen, rel=0.03)
    assert blinks.on.max() <= 1.0
    assert blinks.on.min() >= 0.0
    assert len(np.unique(blinks.fluorophore * frames + blinks.frame)) == len(blinks.frame)


@pytest.mark.parametrize("per_frame", [deep.DENSE, deep.SPARSE])
def test_neighbouring_frames_share_emitters(rng: np.random.Generator, per_frame: float) -> None:
    scene = deep.deep_scene(GaussianPsf(1.1), 1.1, rng, n_frames=100, per_frame=per_frame)

    keys = [
        set(zip(scene.truth.x_nm[rows], scene.truth.y_nm[rows], strict=True))
        for rows in (scene.truth.frame == k for k in range(100))
    ]
    full = [(a, b) for a, b in itertools.pairwise(keys) if a]
    near = np.mean([len(a & b) / len(a) for a, b in full])
    later = [(a, b) for a, b in zip(keys[:-30], keys[30:], strict=True) if a]
    far = np.mean([len(a & b) / len(a) for a, b in later])
    assert near > 0.3
    assert far < 0.05


def test_the_last_frame_of_a_structure_is_no_neighbour_of_the_next(
    rng: np.random.Generator,
) -> None:
    short = replace(deep.CHALLENGE, frames=10)

    scene = deep.deep_scene(GaussianPsf(1.1), 1.1, rng, n_frames=25, sample=short)

    steps = np.diff(scene.batch.index)
    assert np.flatnonzero(steps > 1).tolist() == [9, 19]
    assert set(scene.truth.frame.tolist()) <= set(scene.batch.index.tolist())
    assert challenge(scene, scene.truth)[JACCARD] == 1.0


def test_frames_hold_the_light_of_their_emitters(rng: np.random.Generator) -> None:
    scene = deep.deep_scene(GaussianPsf(1.1), 1.1, rng, n_frames=100)

    light = scene.calibration.to_photons(scene.batch.pixels).sum() / 100
    inside = (np.abs(scene.truth.x_nm - 3150) < 3000) & (np.abs(scene.truth.y_nm - 3150) < 3000)
    expected = deep.CHALLENGE.background * 64**2 + scene.truth.photons[inside].sum() / 100
    assert light == pytest.approx(expected, rel=0.02)


def beads(psf: Psf, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A stack of three beads on a background, and the depths of its planes."""
    z = np.arange(-600.0, 601.0, 50.0)
    x, y = np.array([30.3, 30.8, 80.1]), np.array([31.6, 80.2, 40.4])
    stack = np.full((len(z), 110, 110), 3.0, dtype=np.float32)
    for plane, depth in zip(stack, z, strict=True):
        psf.render(plane, x, y, np.full(3, depth), np.full(3, 50_000.0))
    return rng.poisson(stack).astype(np.float32), z


@pytest.mark.parametrize("depth_nm", [-400.0, 0.0, 300.0])
def test_a_psf_from_beads_is_the_psf_that_drew_them(
    rng: np.random.Generator, depth_nm: float
) -> None:
    true = AstigmaticPsf(pixel_nm=100.0)
    stack, z = beads(true, rng)

    found, _ = psf_from_beads([stack], z_first_nm=float(z[0]), z_step_nm=50.0)

    images = []
    for psf in (true, found):
        image = np.zeros((41, 41), dtype=np.float32)
        one = (np.array([20.3]), np.array([19.8]), np.array([depth_nm]), np.array([1.0]))
        psf.render(image, *one)
        images.append(image)
    assert images[1].sum() == pytest.approx(1.0, abs=1e-3)
    # Averaging five planes of 50 nm blurs it along z; laterally it stays sharp.
    assert np.abs(images[1] - images[0]).max() < 0.12 * images[0].max()
    along = np.arange(41.0)
    for axis in (0, 1):
        places = [image.sum(axis=axis) @ along / image.sum() for image in images]
        assert places[1] == pytest.approx(places[0], abs=0.05)


def test_the_beads_of_the_challenge_give_a_psf_that_is_sharp_in_the_middle(
    data_dir: Callable[[str], Path],
) -> None:
    pixels = tifffile.imread(data_dir("challenge2016_beads") / "beads_2d.tif")
    photons = (pixels - 100.0).astype(np.float32) * np.float32(45 / 300)

    psf, sigma_px = psf_from_beads([photons], z_first_nm=-750.0, z_step_nm=10.0)

    assert 1.0 < sigma_px < 1.4
    peaks = []
    for depth in (-700.0, 0.0, 700.0):
        image = np.zeros((41, 41), dtype=np.float32)
        psf.render(image, *(np.array([v]) for v in (20.0, 20.0, depth, 1.0)))
        peaks.append(float(image.max()))
    assert peaks[1] > 5 * max(peaks[0], peaks[2])
