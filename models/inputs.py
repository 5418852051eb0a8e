"""What every engine feeds a network with, without torch: frames, maps, context, condition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.frames import Pixels
from rtsmlm.localizations import F32

BLOCK_PX = 8
"""Frames are padded to multiples of it: the side of the blocks that give the light level."""


KNOW_MASKS = ("flagship", "flagship-time")
"""Architectures that are shown which pixels are masked: their simulator masks some, too. To others
the neighbours' mean is a pixel like any other."""


def padded_maps(
    calibration: CameraCalibration,
    shape: tuple[int, int],
    block_px: int = BLOCK_PX,
    overlap_px: int = 0,
    *,
    knows_masks: bool = True,
) -> tuple[F32, F32, F32]:
    """Return offset, photons per ADU and read variance as the network takes them.

    The light of an EMCCD is divided by its squared excess noise factor, so that its variance
    equals its mean again; `decode` multiplies it back.

    Parameters
    ----------
    calibration
        Camera calibration.
    shape
        Height and width of the frames in pixels.
    block_px
        Side of the blocks that padded frames consist of.
    overlap_px
        Pixels that they have besides.
    knows_masks
        Whether the network was trained with masked pixels, whose variance is huge.

    Returns
    -------
    :
        Three maps in ADU, photons per ADU and photons², padded as `pad_frames` pads frames.

    Raises
    ------
    CalibrationError
        If the camera maps do not fit the frames.
    """
    calibration.check_frame_shape(shape)
    excess = calibration.excess_noise
    gain = np.asarray(calibration.e_per_adu, dtype=np.float64) / (calibration.em_gain * excess)
    stated = calibration.pixel_variance() if knows_masks else calibration.read_variance()
    variance = np.asarray(stated, dtype=np.float64) / excess**2
    padding = _padding(shape, block_px, overlap_px)
    full = [
        np.broadcast_to(np.asarray(value, dtype=np.float32), shape)
        for value in (calibration.offset_adu, gain, variance)
    ]
    offset, gain_map, variance_map = (np.pad(value, padding, mode="edge") for value in full)
    return offset, gain_map, variance_map


def _padding(
    shape: tuple[int, int], block_px: int, overlap_px: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    def after(side: int) -> int:
        blocks = max(1, -(-(side - overlap_px) // block_px))
        return blocks * block_px + overlap_px - side

    return (0, after(shape[0])), (0, after(shape[1]))


def pad_frames(pixels: Pixels, block_px: int = BLOCK_PX, overlap_px: int = 0) -> Pixels:
    """Return frames padded with their last row and column to whole blocks and an overlap."""
    padding = _padding((pixels.shape[1], pixels.shape[2]), block_px, overlap_px)
    if not any(after for _, after in padding):
        return pixels
    return np.pad(pixels, ((0, 0), *padding), mode="edge")


def context_columns(neighbours: int) -> int:
    """Return how many numbers of context a frame has: a network without neighbours has two."""
    return 2 * max(neighbours, 1)


def context_of(index: NDArray[np.int64], neighbours: int = 1) -> F32:
    """Return whether the frames around each are there, 1 or 0, (n, `context_columns`).

    From the earliest to the latest, without the frame itself: the previous and the next one where
    one neighbour is looked at.

    Parameters
    ----------
    index
        Camera frame numbers of a batch, (n,), ascending; a gap means lost frames.
    neighbours
        Frames before and after a frame that the network looks at.
    """
    reach = max(neighbours, 1)
    there = np.zeros((len(index), 2 * reach), dtype=np.float32)
    for step in range(1, reach + 1):
        follows = index[step:] - index[:-step] == step
        there[step:, reach - step] = follows
        there[:-step, reach + step - 1] = follows
    return there
