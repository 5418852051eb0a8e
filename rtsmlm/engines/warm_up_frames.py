"""Frames to warm up with: all that there is to do is done once."""

from __future__ import annotations

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.physics.gaussian import render_spots


def warm_up_frames(
    shape: tuple[int, int], n: int, sigma_px: float, calibration: CameraCalibration
) -> FrameBatch:
    """Return frames with a lone spot and a pair.

    Parameters
    ----------
    shape
        Height and width.
    n
        Frames.
    sigma_px
        Width of the spots in pixels.
    calibration
        Of the camera that they are as if of.
    """
    height, width = shape
    x = np.array([0.25 * width, 0.75 * width, 0.75 * width + 2.0 * sigma_px])
    light = render_spots(shape, x, np.full(3, 0.5 * height), 2000.0, sigma_px, 10.0)
    drawn = np.random.default_rng(0).poisson(light, (n, *shape))
    gain = np.asarray(calibration.e_per_adu) / calibration.em_gain
    adu = drawn / gain + calibration.offset_adu
    return FrameBatch.from_pixels(np.clip(np.rint(adu), 0, 65535).astype(np.uint16))
