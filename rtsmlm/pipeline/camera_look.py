"""CameraLook: what the first frames of a run say of its camera: wrong pixels, gain, dark value."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.camera_estimate import LEAST_FRAMES, NOTHING, estimate_camera
from rtsmlm.fitting.mending import PixelMender
from rtsmlm.fitting.photon_transfer import photon_transfer, steady_samples
from rtsmlm.fitting.saturation import plateau_adu
from rtsmlm.fitting.wrong_pixels import (
    LEAST_PER_SEGMENT,
    SEGMENTS,
    WrongPixels,
    find_wrong_pixels,
    holds,
)
from rtsmlm.frames import Pixels
from rtsmlm.settings.camera import CameraSettings

_PER_SEGMENT = 8
"""Frames, so that all segments are as many as the PSF width is measured on: neither waits for the
other."""
_MOST_PIXELS = 1 << 25
"""Of the frames that are kept for it: 64 MiB; of large frames a few more."""


@dataclass(frozen=True, slots=True)
class CameraFound:
    """What was found, and the calibration with it."""

    calibration: CameraCalibration
    kind: NDArray[np.uint8]
    """What is wrong with each pixel, as in `WrongPixels`; empty where none was looked for."""
    values: dict[str, float] = field(default_factory=dict)
    """Gain and dark value that nothing states, by the names of their settings."""
    informed: str = ""
    """One sentence on the pixels that are masked."""
    warned: str = ""
    """One sentence on gain and dark value."""
    doubt: str = ""
    """What contradicts the calibration in force, one sentence."""

    @property
    def changes(self) -> bool:
        """Whether frames are to be localized with another calibration."""
        return bool(self.values) or bool(self.kind.any())

    @property
    def is_worth_telling(self) -> bool:
        """Whether there is anything to be said or done."""
        return self.changes or bool(self.informed or self.warned or self.doubt)


class CameraLook:
    """Looks at the first frames once.

    Parameters
    ----------
    calibration
        Calibration in force.
    camera
        Settings of the camera.
    assumed
        Names of the values of the calibration that nothing states.
    shape
        Height and width of the frames.
    most_frames
        More never come at once.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        camera: CameraSettings,
        assumed: Collection[str],
        shape: tuple[int, int],
        *,
        most_frames: int,
    ) -> None:
        self._calibration, self._camera, self._assumed = calibration, camera, assumed
        fitting = _MOST_PIXELS // (SEGMENTS * shape[0] * shape[1])
        n = min(max(fitting, LEAST_PER_SEGMENT), _PER_SEGMENT)
        self.n_wanted = min(SEGMENTS * n, max(most_frames, 1))
        """First frames that are wanted."""

    def find(self, pixels: Pixels) -> CameraFound:
        """Return what the frames say.

        Parameters
        ----------
        pixels
            The first frames, uint16 ADU, shape (n, height, width).
        """
        calibration, camera = self._calibration, self._camera
        n = len(pixels) // SEGMENTS
        if n < LEAST_PER_SEGMENT or holds(pixels[0], pixels[n:]):
            return CameraFound(calibration, np.zeros((0, 0), dtype=np.uint8))
        parts = [pixels[k * n : (k + 1) * n] for k in range(SEGMENTS)]
        wrong = WrongPixels(np.zeros(pixels.shape[1:], dtype=np.uint8))
        if camera.wrong_pixels == "auto":
            found = find_wrong_pixels(parts, calibration)
            wrong = found if found.kind.size else wrong
            calibration = calibration.with_masked(wrong.masked)
        told = NOTHING
        if len(pixels) >= LEAST_FRAMES:
            masked = calibration.masked
            none = np.zeros(pixels.shape[1:], dtype=np.bool_) if masked is None else masked
            ceiling = plateau_adu(pixels.max(axis=0)) or math.inf
            samples = [steady_samples(part, none, ceiling) for part in parts]
            transfer = photon_transfer(samples)
            told = estimate_camera(transfer, calibration, self._assumed, is_wanted=camera.estimate)
        return CameraFound(
            with_values(calibration, told.values),
            wrong.kind,
            told.values,
            wrong.note,
            told.note or told.doubt,
            told.doubt,
        )

    def rehearse(self, pixels: Pixels) -> None:
        """Use all that works on frames once, so that nothing is compiled during a run."""
        n = len(pixels) // SEGMENTS
        masked = np.zeros(pixels.shape[1:], dtype=np.bool_)
        find_wrong_pixels([pixels[k * n : (k + 1) * n] for k in range(SEGMENTS)], self._calibration)
        photon_transfer([steady_samples(pixels, masked)])
        masked[0, 0] = True
        PixelMender(replace(self._calibration, masked=masked))(pixels.copy())


def with_values(calibration: CameraCalibration, values: dict[str, float]) -> CameraCalibration:
    """Return a calibration with gain and dark value by the names of their settings."""
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    return replace(
        calibration,
        offset_adu=known.get("offset_adu", calibration.offset_adu),
        e_per_adu=known.get("e_per_adu", calibration.e_per_adu),
    )
