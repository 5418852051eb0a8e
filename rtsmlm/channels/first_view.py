"""The first view of a frame, which all rows refer to: its size, its camera maps and its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import FrameBatch
from rtsmlm.physics.views import Region
from rtsmlm.settings.channels import ChannelsSettings


def field_shape(channels: ChannelsSettings, shape: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of the field that rows lie in: the first view, or the frame."""
    layout = channels.layout()
    return shape if layout is None else layout.first.shape


@dataclass(frozen=True, slots=True)
class FirstView:
    """A part of a frame; the whole frame where it has no views."""

    region: Region
    is_whole: bool

    @classmethod
    def of(cls, channels: ChannelsSettings, shape: tuple[int, int]) -> FirstView:
        """Return the first view of frames of a shape.

        Raises
        ------
        CalibrationError
            If a view does not lie on such frames.
        """
        layout = channels.layout()
        if layout is None:
            return cls((0, 0, shape[1], shape[0]), is_whole=True)
        layout.check_frame_shape(shape)
        return cls(layout.first.region, is_whole=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.region[3], self.region[2]

    def calibration(self, whole: CameraCalibration) -> CameraCalibration:
        """Return the calibration of its pixels."""
        return whole if self.is_whole else whole.cropped(*self.region)

    def frames(self, batch: FrameBatch) -> FrameBatch:
        """Return its part of frames, copied where it is not all of them."""
        return batch if self.is_whole else crop(batch, self.region)


def crop(batch: FrameBatch, region: Region) -> FrameBatch:
    """Return a region of frames, as a copy."""
    x, y, width, height = region
    return FrameBatch(
        pixels=np.ascontiguousarray(batch.pixels[:, y : y + height, x : x + width]),
        index=batch.index,
        t_exposure_end_ns=batch.t_exposure_end_ns,
        t_ring_ns=batch.t_ring_ns,
        activation_power=batch.activation_power,
    )
