"""Movies of which nothing is known: what is found on them is what they were drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.bench.accuracy.movie_checks import MOVIES, Unknown, recorded, unknown_scene


@pytest.mark.parametrize("movie", MOVIES, ids=[movie.title for movie in MOVIES])
def test_the_camera_of_a_movie_is_found(movie: Unknown) -> None:
    calibration = unknown_scene(np.random.default_rng(5), movie).calibration

    assert calibration.e_per_adu == pytest.approx(movie.e_per_adu, rel=0.2)
    photons = abs(calibration.offset_adu - movie.offset_adu) * movie.e_per_adu
    assert photons < 6.0
    n_masked = 0 if calibration.masked is None else int(calibration.masked.sum())
    assert n_masked == pytest.approx(movie.hot * 128**2, abs=0.3 * movie.hot * 128**2 + 2)


def test_the_truth_of_a_movie_is_where_its_light_is() -> None:
    movie = Unknown(title="few", per_um2=0.02, aim=0.9)
    pixels, truth = recorded(np.random.default_rng(1), movie)
    inside = (np.abs(truth.x_px - 63.5) < 60) & (np.abs(truth.y_px - 63.5) < 60)
    at = (truth.frame, np.rint(truth.y_px).astype(int), np.rint(truth.x_px).astype(int))
    light = pixels[tuple(index[inside] for index in at)]

    assert float(np.median(light)) > 100 + 20 + 100
    assert float(np.median(pixels)) == pytest.approx(120, abs=2)
