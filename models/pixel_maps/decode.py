"""Maps of physical quantities to rows: one row for each local maximum of the probability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter
from scipy.spatial import cKDTree

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row

NEEDED = ("probability", "dx", "dy", "photons")
"""Channels that a model must have; offsets in pixels from the pixel's centre, light in photons."""
OPTIONAL = {
    "background": Row.BACKGROUND,
    "std_x": Row.STD_X,
    "std_y": Row.STD_Y,
    "std_photons": Row.STD_PHOTONS,
    "z": Row.Z,
    "std_z": Row.STD_Z,
}
"""Channels that it may have; what it does not state is NaN."""
CROWD_REACH_PX = 4


def rows_of(
    maps: F32, shape: tuple[int, int], channels: Mapping[str, int], settings: DecodeSettings
) -> list[F32]:
    """Return the emitters of each frame as rows of `rtsmlm.models.rows`.

    Parameters
    ----------
    maps
        Output of the network, (n, channels, height, width), padded below and to the right.
    shape
        Height and width of the frames without padding, in pixels.
    channels
        Which channel holds what.
    settings
        Thresholds.

    Raises
    ------
    LocalizerError
        If the maps do not fit the frames.
    """
    if maps.ndim != 4 or maps.shape[1] <= max(channels.values()):
        raise LocalizerError(
            f"maps of shape {maps.shape}; the manifest names {max(channels.values()) + 1} channels"
        )
    if maps.shape[2] < shape[0] or maps.shape[3] < shape[1]:
        raise LocalizerError(
            f"maps of {maps.shape[2]} x {maps.shape[3]} pixels do not cover frames of {shape[0]} x "
            f"{shape[1]}"
        )
    return [_rows(frame[:, : shape[0], : shape[1]], channels, settings) for frame in maps]


def _rows(maps: F32, channels: Mapping[str, int], settings: DecodeSettings) -> F32:
    p = np.clip(np.nan_to_num(maps[channels["probability"]]), 0.0, 1.0)
    # An emitter at a corner is shared by four pixels: their sum is what counts.
    near = _sum_around(p, 3)
    highest = (p > settings.candidate_probability) & (p == maximum_filter(p, 3, mode="constant"))
    y, x = np.nonzero(highest & (near > settings.min_probability))
    rows = np.zeros((len(y), COLUMNS), dtype=np.float32)
    around = _sum_around(p, 2 * CROWD_REACH_PX + 1)
    rows[:, Row.X] = x + maps[channels["dx"], y, x]
    rows[:, Row.Y] = y + maps[channels["dy"], y, x]
    rows[:, Row.PHOTONS] = maps[channels["photons"], y, x]
    rows[:, Row.PROBABILITY] = np.minimum(near[y, x], 1.0)
    rows[:, Row.CROWD] = np.maximum(around[y, x] - near[y, x], 0.0)
    for name, column in OPTIONAL.items():
        rows[:, column] = maps[channels[name], y, x] if name in channels else np.nan
    return _distinct(rows, settings.merge_px)


def _sum_around(p: F32, side_px: int) -> F32:
    """Return the sum over a square around each pixel."""
    return np.asarray(side_px**2 * uniform_filter(p, side_px, mode="constant"), dtype=np.float32)


def _distinct(rows: F32, merge_px: float) -> F32:
    """Return the rows without those that lie closer than the limit to a more probable one."""
    if len(rows) < 2:
        return rows
    pairs = cKDTree(rows[:, (Row.X, Row.Y)]).query_pairs(merge_px, output_type="ndarray")
    p = rows[:, Row.PROBABILITY]
    worse = np.where(p[pairs[:, 0]] < p[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    return np.delete(rows, worse, axis=0)
