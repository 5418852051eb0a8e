"""Detection finds emitters, and nothing where there is only noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.bands import filter_frame, make_scratch
from rtsmlm.fitting.detection import detect_in_frame, make_candidates
from rtsmlm.fitting.filtering import make_filter
from rtsmlm.fitting.noise import background_at, make_tiles, measure_tiles, variance_beyond
from rtsmlm.physics.gaussian import render_spots

SIGMA_PX = 1.3


class Detector:
    """Detection with its memory, one frame at a time."""

    def __init__(
        self,
        variance: Any,
        *,
        threshold: float = 5.0,
        excess_noise: float = 1.0,
        sigma_px: float = SIGMA_PX,
    ) -> None:
        self.plan = make_filter(
            np.asarray(variance, np.float32),
            sigma_px,
            threshold=threshold,
            excess_noise=excess_noise,
        )
        self.scratch = make_scratch(self.plan)
        self.found = make_candidates(20_000)

    def __call__(self, photons: Any) -> NDArray[np.float64]:
        """Return x, y of each candidate, shape (n, 2)."""
        n = detect_in_frame(
            np.ascontiguousarray(photons, np.float32), 0, self.plan, self.scratch, self.found, 0
        )
        return np.stack([self.found.start_x[:n], self.found.start_y[:n]], axis=1)

    @property
    def extra_variance(self) -> float:
        return float(self.found.extra_variance[0])


def _measured(photons: Any, read_variance: float) -> tuple[NDArray[np.float32], float]:
    """Return the background of tiles of 16 pixels and the unexplained variance."""
    tiles = make_tiles((16, 16), photons.shape)
    read = np.full((16, 16), read_variance, np.float32)
    for i, rows in enumerate(np.split(np.asarray(photons, np.float32), 16)):
        measure_tiles(rows, rows.shape[1], i, read, 1.0, tiles)
    return tiles.background, variance_beyond(tiles)


def _flat(value: float = 0.0, size: int = 256) -> NDArray[np.float32]:
    return np.full((size, size), value, dtype=np.float32)


@pytest.mark.parametrize("background", [0.5, 3.0, 20.0, 200.0])
def test_empty_poisson_frames_hold_next_to_no_detections(
    rng: np.random.Generator, background: float
) -> None:
    detector = Detector(_flat(1.6**2))
    n_frames = 100

    n = sum(
        len(detector(rng.poisson(background, (256, 256)) + rng.normal(0, 1.6, (256, 256))))
        for _ in range(n_frames)
    )

    # 0.05 per frame, plus two standard deviations of a count of five.
    assert n <= 0.05 * n_frames + 2 * np.sqrt(0.05 * n_frames)


def test_empty_emccd_frames_hold_next_to_no_detections(rng: np.random.Generator) -> None:
    detector = Detector(_flat(0.25**2), excess_noise=2.0)

    n = 0
    for _ in range(60):
        electrons = np.maximum(rng.poisson(10.0, (256, 256)), 1e-9)
        n += len(detector(rng.gamma(electrons, 1.0) + rng.normal(0, 0.25, (256, 256))))

    assert n <= 0.05 * 60 + 2 * np.sqrt(0.05 * 60)


def test_a_noisy_pixel_of_known_variance_is_no_detection(rng: np.random.Generator) -> None:
    variance = _flat(1.4**2)
    noisy = rng.choice(variance.size, 600, replace=False)
    variance.flat[noisy] = rng.uniform(10.0, 40.0, 600) ** 2
    known, unknown = Detector(variance), Detector(_flat(1.4**2))
    frames = [
        rng.poisson(5.0, variance.shape) + rng.normal(0, 1, variance.shape) * np.sqrt(variance)
        for _ in range(10)
    ]

    assert sum(len(known(frame)) for frame in frames) <= 3
    assert sum(len(unknown(frame)) for frame in frames) > 300


def test_emitters_beside_noisy_pixels_are_still_found(rng: np.random.Generator) -> None:
    variance = _flat(1.4**2, 64)
    variance[10, 10] = 900.0
    frame = rng.poisson(render_spots((64, 64), 40.0, 40.0, 800.0, SIGMA_PX, 5.0))

    found = Detector(variance)(frame + rng.normal(0, 1, frame.shape) * np.sqrt(variance))

    assert len(found) == 1
    assert np.abs(found[0] - 40.0).max() < 0.5


def test_real_scmos_maps_give_no_detection_in_the_dark(
    rng: np.random.Generator, data_dir: Callable[[str], Path]
) -> None:
    maps = {}
    for name in ("gain", "readvar"):
        with h5py.File(data_dir("scmos_maps_700") / f"{name}.hdf5") as file:
            maps[name] = file["data"][:256, :256]
    variance = (maps["readvar"] / maps["gain"] ** 2).astype(np.float32)
    detector = Detector(variance)

    n = sum(
        len(
            detector(
                rng.poisson(2.0, variance.shape)
                + rng.normal(0, 1, variance.shape) * np.sqrt(variance)
            )
        )
        for _ in range(20)
    )

    assert n <= 4


def test_bright_emitters_do_not_hide_a_faint_one(rng: np.random.Generator) -> None:
    x_px, y_px = rng.uniform(0, 256, (2, 600))
    far = np.hypot(x_px - 128, y_px - 128) > 8
    crowd = render_spots((256, 256), x_px[far], y_px[far], 5000.0, SIGMA_PX, 20.0)
    faint = render_spots((256, 256), 128.0, 128.0, 400.0, SIGMA_PX)
    detector = Detector(_flat(1.6**2))

    hits = 0
    for _ in range(20):
        found = detector(rng.poisson(crowd + faint))
        hits += bool(np.hypot(*(found - 128.0).T).min() < 1.5)
        assert detector.extra_variance == 0.0

    assert hits >= 19


def test_the_background_of_a_frame_is_found_under_its_emitters(rng: np.random.Generator) -> None:
    x_px, y_px = rng.uniform(0, 256, (2, 300))
    frame = rng.poisson(render_spots((256, 256), x_px, y_px, 3000.0, SIGMA_PX, 20.0))

    tiles, extra = _measured(frame, 0.0)

    assert np.median(tiles) == pytest.approx(20.0, rel=0.05)
    assert extra == 0.0


@pytest.mark.parametrize("true_e_per_adu", [0.3, 0.5])
def test_a_wrong_gain_makes_no_detections(rng: np.random.Generator, true_e_per_adu: float) -> None:
    detector = Detector(_flat(1.6**2))

    n = sum(len(detector(rng.poisson(20.0, (256, 256)) / true_e_per_adu)) for _ in range(20))

    assert n <= 10


def test_noise_that_the_calibration_does_not_know_is_measured(rng: np.random.Generator) -> None:
    frame = rng.normal(0.0, 22.0, (256, 256))

    _, extra = _measured(frame, 1.6**2)

    assert extra == pytest.approx(22.0**2, rel=0.1)


def test_structured_background_makes_no_detections(rng: np.random.Generator) -> None:
    y_px, x_px = np.indices((256, 256))
    haze = 100 + 80 * np.sin(x_px / 25.0) * np.cos(y_px / 31.0) + 0.2 * x_px
    detector = Detector(_flat(1.6**2))

    n = sum(len(detector(rng.poisson(haze))) for _ in range(20))

    assert n <= 4


def test_maxima_keep_their_distance_and_their_subpixel_place(rng: np.random.Generator) -> None:
    x_px, y_px = rng.uniform(0, 128, (2, 400))
    frame = rng.poisson(render_spots((128, 128), x_px, y_px, 2000.0, SIGMA_PX, 5.0))
    detector = Detector(_flat(1.0, 128))

    found = np.rint(detector(frame))

    apart = np.abs(found[:, None] - found).max(axis=2)
    np.fill_diagonal(apart, 99)
    assert apart.min() >= round(2 * SIGMA_PX)


@pytest.mark.parametrize(
    "place", [(1.0, 40.0), (62.0, 40.0), (40.0, 1.5), (40.0, 62.0), (1.2, 1.2)]
)
def test_a_spot_at_the_edge_is_found_where_it_is(
    rng: np.random.Generator, place: tuple[float, float]
) -> None:
    frame = rng.poisson(render_spots((64, 64), *place, 3000.0, SIGMA_PX, 10.0))

    found = Detector(_flat(1.0, 64))(frame)

    assert len(found) == 1
    assert np.abs(found[0] - place).max() < 0.8


def test_edges_raise_no_false_alarm(rng: np.random.Generator) -> None:
    detector = Detector(_flat(0.0, 32))

    n = sum(len(detector(rng.poisson(500.0, (32, 32)))) for _ in range(500))

    # 500 frames of this size hold the pixels of eight frames of 256 by 256.
    assert n <= 3


def test_too_small_a_frame_is_refused() -> None:
    with pytest.raises(LocalizerError, match="6 x 40 pixels are smaller"):
        Detector(np.zeros((6, 40)))


@pytest.mark.parametrize("edge_px", [0, 1, 3])
@pytest.mark.parametrize("shape", [(17, 40), (65, 47), (130, 33), (256, 200)])
@pytest.mark.parametrize("sigma_px", [0.7, 1.3, 2.6])
def test_candidates_are_the_maxima_of_the_whole_frame_wherever_its_bands_end(
    rng: np.random.Generator, shape: tuple[int, int], sigma_px: float, edge_px: int
) -> None:
    variance = rng.exponential(4.0, shape).astype(np.float32)
    plan = make_filter(variance, sigma_px, threshold=2.0, edge_px=edge_px)
    y_px, x_px = np.indices(shape)
    n = shape[0] * shape[1] // 200
    places = rng.uniform(0, shape[1], n), rng.uniform(0, shape[0], n)
    mean = render_spots(shape, *places, 600.0, sigma_px, 5.0 + 0.3 * x_px + 0.1 * y_px)
    frame = (rng.poisson(mean) + rng.normal(0, np.sqrt(variance))).astype(np.float32)
    scratch, found = make_scratch(plan), make_candidates(frame.size)

    taken = detect_in_frame(frame, 0, plan, scratch, found, 0)

    filtered = np.empty(shape, np.float32)
    filter_frame(frame, plan, make_scratch(plan), filtered)
    tiles, side = scratch.tiles.background, 2 * plan.radius_px + 1
    light = np.array(
        [[background_at(tiles, *shape, y, x) for x in range(shape[1])] for y in range(shape[0])]
    ).clip(0.1)
    noise = (light + variance_beyond(scratch.tiles)) * plan.shot_gain + plan.read_noise
    skew = (plan.threshold**2 - 1) / 6 * light * plan.cubes / noise
    limit = plan.threshold * np.sqrt(noise) + skew
    # Of equals the first one counts.
    ranked = filtered - np.linspace(0.0, 1e-9, frame.size).reshape(shape)
    highest = ranked == maximum_filter(ranked, side, mode="constant", cval=-np.inf)
    inside = np.zeros(shape, dtype=bool)
    inside[edge_px : shape[0] - edge_px, edge_px : shape[1] - edge_px] = True
    expected = np.argwhere(highest & inside & (filtered >= limit))
    np.testing.assert_array_equal(np.stack([found.y[:taken], found.x[:taken]], axis=1), expected)
    strength = plan.threshold * (filtered / limit)[tuple(expected.T)]
    np.testing.assert_allclose(found.strength[:taken], strength, rtol=1e-4)
