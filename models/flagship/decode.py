"""Maps of the flagship to rows on the CPU: candidates, probability, duplicates.

`rtsmlm.models.flagship.maps` says what maps hold. Where the maps are on a GPU,
`rtsmlm.models.flagship.decode_on_device` finds the same rows there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.flagship.maps import background_channel_of
from rtsmlm.models.flagship.slots import find_rows
from rtsmlm.models.psf_condition import DepthRange
from rtsmlm.models.rows import COLUMNS, DEFAULTS, DecodeSettings, localizations_of, logit

FIRST_CAPACITY = 4096


def decode(
    maps: F32,
    frame: NDArray[np.int64],
    *,
    shape: tuple[int, int],
    pixel_nm: float,
    excess_noise: float = 1.0,
    depth: DepthRange | None = None,
    settings: DecodeSettings = DEFAULTS,
) -> Localizations:
    """Return the localizations of a batch of maps, ordered by frame, then from top to bottom.

    Parameters
    ----------
    maps
        Raw output of the network, float32, shape (n, channels, rows / 2, columns / 2); the frames
        may have been padded below and to the right.
    frame
        Camera frame numbers, shape (n,).
    shape
        Height and width of the frames without padding, in pixels.
    pixel_nm
        Pixel side in the sample plane.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, whose light enters the network halved.
    depth
        Range of z of a network that finds it.
    settings
        Thresholds and calibration.

    Raises
    ------
    LocalizerError
        If the maps do not fit the frames.
    """
    rows = rows_of(maps, shape, axial=depth is not None, settings=settings)
    return localizations_of(
        rows, frame, pixel_nm=pixel_nm, excess_noise=excess_noise, depth=depth, settings=settings
    )


def rows_of(
    maps: F32, shape: tuple[int, int], *, axial: bool, settings: DecodeSettings
) -> list[F32]:
    """Return the emitters of each frame as rows of `rtsmlm.models.rows`.

    Parameters
    ----------
    maps, shape, settings
        As `decode` takes them.
    axial
        Whether the network finds z.

    Raises
    ------
    LocalizerError
        If the maps do not fit the frames.
    """
    background_channel = background_channel_of(axial=axial)
    _check(maps, shape, background_channel)
    # One compiled version for all: arrays of an engine may or may not be writeable.
    maps = np.ascontiguousarray(maps, dtype=np.float32).view()
    maps.flags.writeable = False
    limits = (logit(settings.candidate_probability), logit(settings.split_probability))
    found: list[F32] = []
    capacity = FIRST_CAPACITY
    while len(found) < len(maps):
        rows = np.zeros((capacity, COLUMNS), dtype=np.float32)
        n = find_rows(
            maps,
            len(found),
            shape[0],
            shape[1],
            *limits,
            settings.min_probability,
            settings.merge_px,
            background_channel,
            rows,
        )
        if n > capacity:
            capacity = 2 * n
            continue
        found.append(rows[:n])
    return found


def _check(maps: F32, shape: tuple[int, int], background_channel: int) -> None:
    if maps.ndim != 4 or maps.shape[1] <= background_channel:
        raise LocalizerError(
            f"maps of shape {maps.shape}; they must be (frames, more than "
            f"{background_channel} channels, rows / 2, columns / 2)"
        )
    if 2 * maps.shape[2] < shape[0] or 2 * maps.shape[3] < shape[1]:
        raise LocalizerError(
            f"maps of {maps.shape[2]} x {maps.shape[3]} cells do not cover frames of {shape[0]} x "
            f"{shape[1]} pixels; the engine was built for another region of interest"
        )
