"""The PSF width comes out of the frames themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.psf_width import estimate_sigma_px, typical_width
from rtsmlm.physics.gaussian import render_spots


def _frames(
    rng: np.random.Generator,
    sigma_px: float,
    *,
    photons: Any,
    background: float,
    n_emitters: int,
    n_frames: int,
) -> np.ndarray:
    return np.stack(
        [
            rng.poisson(
                render_spots(
                    (128, 128),
                    *rng.uniform(0, 128, (2, n_emitters)),
                    rng.exponential(photons, n_emitters),
                    sigma_px,
                    background,
                )
            )
            for _ in range(n_frames)
        ]
    ).astype(np.float32)


@pytest.mark.parametrize("sigma_px", [0.8, 1.3, 1.8, 2.4])
@pytest.mark.parametrize(
    ("photons", "background", "n_emitters", "n_frames"),
    [(1000.0, 10.0, 40, 5), (1000.0, 10.0, 4, 20), (3000.0, 50.0, 150, 5)],
)
def test_the_width_of_random_emitters_is_found_within_five_percent(
    rng: np.random.Generator,
    sigma_px: float,
    photons: float,
    background: float,
    n_emitters: int,
    n_frames: int,
) -> None:
    frames = _frames(
        rng,
        sigma_px,
        photons=photons,
        background=background,
        n_emitters=n_emitters,
        n_frames=n_frames,
    )

    assert estimate_sigma_px(frames) == pytest.approx(sigma_px, rel=0.05)


def test_a_tenth_of_blurred_emitters_does_not_move_the_width(rng: np.random.Generator) -> None:
    sharp = _frames(rng, 1.2, photons=1500, background=5, n_emitters=40, n_frames=6)
    blurred = _frames(rng, 2.4, photons=1500, background=5, n_emitters=4, n_frames=6)

    assert estimate_sigma_px(sharp + blurred) == pytest.approx(1.2, rel=0.05)


def test_noise_alone_has_no_width(rng: np.random.Generator) -> None:
    frames = rng.poisson(20.0, (5, 64, 64)).astype(np.float32)

    with pytest.raises(LocalizerError, match=r"psf\.sigma_nm"):
        estimate_sigma_px(frames)


def test_the_width_of_a_public_data_set_is_what_its_makers_state(
    data_dir: Callable[[str], Path],
) -> None:
    frames = tifffile.imread(data_dir("tubulins1_2013") / "frames.tif").astype(np.float32)

    sigma_px = estimate_sigma_px(frames - 100.0, read_variance=1.6**2)

    # Made with a Gaussian of 133 nm sampled at the centres of pixels of 150 nm.
    assert sigma_px == pytest.approx(np.sqrt((133 / 150) ** 2 - 1 / 12), rel=0.02)


def test_the_typical_width_is_blind_to_a_wide_tail(rng: np.random.Generator) -> None:
    widths = np.concatenate([rng.normal(1.3, 0.05, 300), rng.uniform(1.7, 4.0, 150)])

    assert typical_width(widths) == pytest.approx(1.3, abs=0.03)
