"""Boxes of fits that want their emitter in the middle, at edges and where a spot has two maxima."""

from __future__ import annotations

import numpy as np
import pytest

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting import boxes
from rtsmlm.fitting.boxes import F64
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import F32
from rtsmlm.physics.gaussian import render_spots
from rtsmlm.settings.run import LocalizerSettings

CALIBRATION = CameraCalibration(pixel_nm=100.0, offset_adu=100.0, e_per_adu=1.0, read_noise_e=1.0)
SIDE, BOX = 40, 12


class Centroid:
    """The middle of the light of a box, cut off as a network is that saw no emitter further out."""

    method = "centroid"
    extra_columns = ("n_boxes",)
    is_centered = True

    def __init__(self, most_px: float) -> None:
        self.most_px = most_px
        self.seen: list[F32] = []

    def __call__(
        self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64
    ) -> F32 | None:
        del variance, start_x, start_y
        self.seen.append(photons)
        light = np.maximum(photons - 30.0, 0.0).astype(np.float64)
        total = light.sum(axis=(1, 2))
        side = np.arange(BOX) - (BOX - 1) / 2
        x = (light * side).sum(axis=(1, 2)) / total
        y = (light * side[:, None]).sum(axis=(1, 2)) / total
        rows[:, boxes.X] = (BOX - 1) / 2 + np.clip(x, -self.most_px, self.most_px)
        rows[:, boxes.Y] = (BOX - 1) / 2 + np.clip(y, -self.most_px, self.most_px)
        rows[:, boxes.PHOTONS], rows[:, boxes.BACKGROUND] = total, 20.0
        rows[:, boxes.STD_X] = rows[:, boxes.STD_Y] = 0.1
        rows[:, boxes.STD_PHOTONS], rows[:, boxes.CHI2] = 50.0, 1.0
        rows[:, boxes.STATUS] = boxes.CONVERGED
        return np.full((len(rows), 1), float(len(self.seen)), np.float32)


def localizer(fit: Centroid) -> SpotLocalizer:
    settings = LocalizerSettings(box_px=BOX)
    return SpotLocalizer(calibration=CALIBRATION, sigma_nm=130.0, settings=settings, fit=fit)


def frame(rng: np.random.Generator, *spots: tuple[float, float, float]) -> FrameBatch:
    mean = np.full((SIDE, SIDE), 20.0, np.float32)
    for x, y, photons in spots:
        mean = render_spots((SIDE, SIDE), x, y, photons, 1.3, mean)
    return FrameBatch.from_pixels((rng.poisson(mean) + 100).astype(np.uint16)[None])


def test_an_emitter_at_the_edge_is_in_the_middle_of_its_box(rng: np.random.Generator) -> None:
    fit = Centroid(2.0)
    localizer(fit)(frame(rng, (2.0, 20.3, 5000.0)))

    box = fit.seen[-1][0]
    assert np.unravel_index(box.argmax(), box.shape)[1] in (5, 6)
    assert (box[:, 0] == box[:, 1]).all(), "the last pixels repeat beyond the frame"


def test_two_maxima_of_one_spot_become_one_localization(rng: np.random.Generator) -> None:
    # Far out of focus a spot is two lobes, 5 pixels apart here; the emitter is between them.
    fit = Centroid(2.0)
    found = localizer(fit)(frame(rng, (17.5, 20.0, 4000.0), (22.5, 20.0, 4000.0)))

    assert len(found) == 1
    assert found.x_nm[0] == pytest.approx(2000.0, abs=60.0)
    assert found.extras["n_boxes"][0] > 1.0, "the columns are those of the last box"


def test_a_side_may_be_even_only_where_boxes_are_centered() -> None:
    settings = LocalizerSettings(box_px=BOX)
    fit = Centroid(2.0)
    fit.is_centered = False
    with pytest.raises(LocalizerError, match="must be odd"):
        SpotLocalizer(calibration=CALIBRATION, sigma_nm=130.0, settings=settings, fit=fit)
