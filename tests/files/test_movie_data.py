"""Real recordings, and those of other groups, open as what they are known to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtsmlm.calibration import StatedCalibration
from rtsmlm.errors import FileFormatError
from rtsmlm.files.movies.open import open_movie

# Shape, frames, and the mean in ADU as numpy.fromfile or tifffile.imread give it.
FACTS = [
    ("af647_spe/movie.SPE", (128, 128), 10, 245.6145),
    ("dnapaint_micromanager", (30, 30), 100, 610.0556),
    ("picasso_raw", (32, 32), 100, 255.2505),
    ("storm_scmos/sample.dax", (256, 256), 11, 108.6525),
    ("zhuang_formats/test.dax", (256, 256), 10, 159.5826),
    ("zhuang_formats/test_bg_sub.dax", (256, 256), 5, 143.4742),
    ("tubulins1_2013/frames.tif", (256, 256), 41, 100.2989),
    ("tubulins1_2013/structured_background_frame20.tif", (256, 256), 1, 178.4801),
    ("bundled_tubes_hd_2013", (64, 64), 361, 244.3839),
    ("deepstorm_microtubules", (64, 64), 20, 404.9862),
    ("challenge2016_mt0_n1_ld_as", (64, 64), 24, 717.6025),
    ("challenge2016_beads/beads_as.tif", (150, 150), 151, 172.5835),
    ("bead_2d_180nm", (31, 31), 51, 602.8409),
    ("beads_astigmatic_94", (31, 31), 94 * 41, 217.4711),
    ("nairr/2DGauss_LD.tif", (32, 32), 500, 1036.1592),
    ("tetrapod_storm/frames.tif", (297, 391), 25, 49.0782),
    ("live_cell_telomeres/psf1.tif", (256, 256), 80, 227.4467),
    ("live_cell_telomeres/beads/edof_bead_stack.tiff", (121, 121), 54, 31.8971),
]


@pytest.mark.parametrize(("name", "shape", "n_frames", "mean_adu"), FACTS)
def test_recordings_have_the_frames_and_light_they_are_known_for(
    data_dir: Callable[[str], Path],
    name: str,
    shape: tuple[int, int],
    n_frames: int,
    mean_adu: float,
) -> None:
    with open_movie(data_dir(name)) as movie:
        total = sum(float(batch.pixels.sum()) for batch in movie.batches(64))

        assert (movie.shape, movie.n_frames) == (shape, n_frames)
        assert total / (n_frames * shape[0] * shape[1]) == pytest.approx(mean_adu, abs=1e-4)
        assert not movie.account.differences


@pytest.mark.parametrize(
    ("name", "stated", "usual", "exposure_ms"),
    [
        (
            "dnapaint_micromanager",
            StatedCalibration(offset_adu=400, e_per_adu=0.48),
            {"em_gain", "pixel_nm"},
            1000,
        ),
        ("picasso_raw", StatedCalibration(pixel_nm=160), set(), 300),
        ("deepstorm_microtubules", StatedCalibration(pixel_nm=100), set(), None),
        ("nairr/2DGauss_LD.tif", StatedCalibration(), set(), None),
        ("af647_spe/movie.SPE", StatedCalibration(), set(), None),
    ],
)
def test_recordings_state_what_their_metadata_hold_and_no_more(
    data_dir: Callable[[str], Path],
    name: str,
    stated: StatedCalibration,
    usual: set[str],
    exposure_ms: float | None,
) -> None:
    with open_movie(data_dir(name)) as movie:
        # What is known of the camera by its name stands apart from what the file states.
        assert replace(movie.stated, usual=()) == stated
        assert {value.name for value in movie.stated.usual} == usual
        assert movie.exposure_ms == exposure_ms


def test_a_raw_movie_read_in_the_right_byte_order_shows_its_dark_value(
    data_dir: Callable[[str], Path],
) -> None:
    with open_movie(data_dir("dnapaint_micromanager")) as movie:
        pixels = movie.read(range(movie.n_frames))

    # Hamamatsu states an offset of 400; swapped bytes would spread over all 16 bits.
    assert 400 < np.median(pixels) < 800
    assert pixels.max() < 20_000


def test_a_folder_of_several_movies_asks_which(data_dir: Callable[[str], Path]) -> None:
    with pytest.raises(FileFormatError, match=r"holds 2 movies \(test.dax, test_bg_sub.dax\)"):
        open_movie(data_dir("zhuang_formats"))
