"""What detection and fits need of the frames of one shape: maps of the camera, and the filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rtsmlm.calibration import CameraCalibration, Map
from rtsmlm.fitting.filtering import Filter
from rtsmlm.localizations import F32


class Plan(NamedTuple):
    """What belongs to one frame shape and does not change; maps of shape (height, width)."""

    offset_adu: F32
    photons_per_adu: F32
    read_variance: F32
    """Variance of the read noise in photons², huge where a pixel is masked."""
    filter: Filter


def make_plan(
    calibration: CameraCalibration, shape: tuple[int, int], make_filter: Callable[[F32], Filter]
) -> Plan:
    """Return the plan for frames of one shape.

    Parameters
    ----------
    calibration
        Camera calibration; its maps must have this shape.
    shape
        Height and width of the frames.
    make_filter
        Makes the filter from the read variance.
    """
    # In the frame a masked pixel is the mean of its neighbours, and so quieter than they are.
    quiet = _as_map(calibration.read_variance(), shape)
    gain = np.asarray(calibration.e_per_adu, dtype=np.float64) / calibration.em_gain
    return Plan(
        offset_adu=_as_map(calibration.offset_adu, shape),
        photons_per_adu=_as_map(np.asarray(gain, dtype=np.float32), shape),
        read_variance=_as_map(calibration.pixel_variance(), shape),
        filter=make_filter(quiet),
    )


def _as_map(value: Map, shape: tuple[int, int]) -> F32:
    return np.array(np.broadcast_to(value, shape), dtype=np.float32, order="C")
