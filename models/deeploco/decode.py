"""Slots of DeepLOCO to rows: slots that mean the same emitter are merged, across tiles, too.

As published: slots of hardly any weight are left out, those nearer than 100 nm to each other
become one at their weighted mean, again until nothing changes, and an emitter is what then has
weight enough. Distances are those of the loss, in which a fifth of z counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32
from rtsmlm.models.deeploco.geometry import (
    LIGHT_UNIT,
    NOMINAL_PIXEL_NM,
    OVERLAP_PX,
    SLOTS,
    STEP_PX,
    TILE_PX,
    Z_FACTOR,
)
from rtsmlm.models.rows import COLUMNS, DecodeSettings, Row

LEAST_WEIGHT = 1e-3
MERGE_PX = 1.0
"""100 nm at the pixel that the network is trained for."""
SEAM_PX = 1.0
"""So far beyond its own part a tile is listened to: at a seam its neighbour might say the same of
the other side, and both would be left out. What both say is merged."""
CROWD_REACH_PX = 6.0
ROUNDS = 8
# Compiled code takes plain numbers for what is an enumeration elsewhere.
_ROW_X, _ROW_Y, _ROW_PROBABILITY = (int(c) for c in (Row.X, Row.Y, Row.PROBABILITY))
_X, _Y, _Z, _WEIGHT, _LIGHT, _BACKGROUND = range(6)
"""Columns of what is merged: sums weighted by the weight, but for the weight itself."""


def z_factor_of(z_range_nm: tuple[float, float]) -> float:
    """Return the pixels that half of a range of z counts as, where slots are merged."""
    return Z_FACTOR * (z_range_nm[1] - z_range_nm[0]) / 2.0 / NOMINAL_PIXEL_NM


def rows_of(
    maps: F32,
    shape: tuple[int, int],
    channels: Mapping[str, int],
    settings: DecodeSettings,
    *,
    z_factor_px: float,
) -> list[F32]:
    """Return the emitters of each frame as rows of `rtsmlm.models.rows`, from top to bottom.

    Parameters
    ----------
    maps
        Output of the graph, (n, channels, tiles down, tiles across).
    shape
        Height and width of the frames without padding, in pixels.
    channels
        First channel of x, y, z, weight, background, and of light where a network states it.
    settings
        `min_probability` is the least weight of an emitter.
    z_factor_px
        Pixels that half of the range of z counts as, where slots are merged.

    Raises
    ------
    LocalizerError
        If the maps do not fit the frames.
    """
    _check(maps, shape, channels)
    # One compiled version for all: arrays of an engine may or may not be writeable.
    maps = np.ascontiguousarray(maps, dtype=np.float32).view()
    maps.flags.writeable = False
    firsts = np.array(
        [channels[name] for name in ("x", "y", "z", "weight")]
        + [channels.get("light", -1), channels["background"]],
        dtype=np.int64,
    )
    found = []
    for frame in maps:
        slots = _slots_within(frame, firsts, shape[0], shape[1])
        merged = _merged(slots, z_factor_px)
        kept = merged[merged[:, _WEIGHT] >= settings.min_probability]
        found.append(_rows(kept, states_light="light" in channels))
    return found


def _check(maps: F32, shape: tuple[int, int], channels: Mapping[str, int]) -> None:
    last = max(channels.values())
    if maps.ndim != 4 or maps.shape[1] <= last:
        raise LocalizerError(
            f"maps of shape {maps.shape}; they must be (frames, more than {last} channels, tiles "
            "down, tiles across)"
        )
    down, across = (n * STEP_PX + OVERLAP_PX for n in maps.shape[2:])
    if down < shape[0] or across < shape[1]:
        raise LocalizerError(
            f"{maps.shape[2]} x {maps.shape[3]} tiles do not cover frames of {shape[0]} x "
            f"{shape[1]} pixels; the engine was built for another region of interest"
        )


def _rows(emitters: F32, *, states_light: bool) -> F32:
    emitters = emitters[np.argsort(emitters[:, _Y], kind="stable")]
    rows = np.zeros((len(emitters), COLUMNS), dtype=np.float32)
    rows[:, Row.X], rows[:, Row.Y] = emitters[:, _X], emitters[:, _Y]
    rows[:, Row.Z] = emitters[:, _Z]
    # Light goes with the square root of photons.
    photons = LIGHT_UNIT * np.square(emitters[:, _LIGHT])
    rows[:, Row.PHOTONS] = photons if states_light else np.nan
    rows[:, Row.BACKGROUND] = emitters[:, _BACKGROUND]
    rows[:, Row.PROBABILITY] = np.minimum(emitters[:, _WEIGHT], 1.0)
    # What is stated is how wrong such rows are on simulations: the network says nothing of it.
    rows[:, Row.STD_X] = rows[:, Row.STD_Y] = rows[:, Row.STD_Z] = 1.0
    rows[:, Row.STD_PHOTONS] = rows[:, Row.PHOTONS]
    rows[:, Row.CROWD] = _crowds(rows, CROWD_REACH_PX)
    return rows


@njit(cache=True, nogil=True, error_model="numpy")
def _slots_within(frame: F32, firsts: NDArray[np.int64], height: int, width: int) -> F32:
    """Return the slots that lie in their tile's own part of the frame, (m, 6), in pixels."""
    down, across = frame.shape[1], frame.shape[2]
    slots = np.empty((down * across * SLOTS, 6), np.float32)
    half = 0.5 * OVERLAP_PX
    n = 0
    for i in range(down):
        top = STEP_PX * i + half - SEAM_PX if i > 0 else 0.0
        bottom = STEP_PX * (i + 1) + half + SEAM_PX if i < down - 1 else float(height)
        for j in range(across):
            left = STEP_PX * j + half - SEAM_PX if j > 0 else 0.0
            right = STEP_PX * (j + 1) + half + SEAM_PX if j < across - 1 else float(width)
            for k in range(SLOTS):
                weight = frame[firsts[_WEIGHT] + k, i, j]
                # From the corner of the frame; a network that fails gives no number.
                x = STEP_PX * j + TILE_PX * frame[firsts[_X] + k, i, j]
                y = STEP_PX * i + TILE_PX * frame[firsts[_Y] + k, i, j]
                if not (weight >= LEAST_WEIGHT and left <= x <= right and top <= y <= bottom):
                    continue
                if x > width or y > height:
                    continue
                light = np.float32(0.0)
                if firsts[_LIGHT] >= 0:
                    light = frame[firsts[_LIGHT] + k, i, j] / weight
                slots[n, _X], slots[n, _Y] = x - 0.5, y - 0.5
                slots[n, _Z] = 2.0 * frame[firsts[_Z] + k, i, j] - 1.0
                slots[n, _WEIGHT], slots[n, _LIGHT] = weight, light
                slots[n, _BACKGROUND] = frame[firsts[_BACKGROUND], i, j]
                n += 1
    return slots[:n]


def _merged(slots: F32, z_factor_px: float) -> F32:
    """Return slots with those that hang together by steps within reach at their weighted mean."""
    for _ in range(ROUNDS):
        slots = slots[np.argsort(slots[:, _X])]
        joined = _joined(slots, _components(slots, MERGE_PX, z_factor_px))
        if len(joined) == len(slots):
            break
        slots = joined
    return slots


@njit(cache=True, nogil=True, error_model="numpy")
def _joined(slots: F32, owner: NDArray[np.int64]) -> F32:
    """Return one slot for each owner: the weighted mean of those that it owns."""
    sums = np.zeros((len(slots), 6), np.float64)
    n = 0
    for i in range(len(slots)):
        n += owner[i] == i
        weight = slots[i, _WEIGHT]
        for c in range(6):
            sums[owner[i], c] += weight * (1.0 if c == _WEIGHT else slots[i, c])
    joined = np.empty((n, 6), np.float32)
    k = 0
    for i in range(len(slots)):
        if owner[i] != i:
            continue
        for c in range(6):
            joined[k, c] = sums[i, c] / (1.0 if c == _WEIGHT else sums[i, _WEIGHT])
        k += 1
    return joined


@njit(cache=True, nogil=True, error_model="numpy")
def _components(slots: F32, reach_px: float, z_factor_px: float) -> NDArray[np.int64]:
    """Return the first slot of the component of each; slots come from left to right."""
    n = len(slots)
    owner = np.arange(n)
    for i in range(n):
        for j in range(i + 1, n):
            dx = slots[j, _X] - slots[i, _X]
            if dx > reach_px:
                break
            dy = slots[j, _Y] - slots[i, _Y]
            dz = z_factor_px * (slots[j, _Z] - slots[i, _Z])
            if dx * dx + dy * dy + dz * dz > reach_px * reach_px:
                continue
            one, other = _root(owner, i), _root(owner, j)
            owner[max(one, other)] = min(one, other)
    for i in range(n):
        owner[i] = _root(owner, i)
    return owner


@njit(cache=True, nogil=True, error_model="numpy")
def _root(owner: NDArray[np.int64], i: int) -> int:
    while owner[i] != i:
        i = owner[i]
    return i


@njit(cache=True, nogil=True, error_model="numpy")
def _crowds(rows: F32, reach_px: float) -> F32:
    """Return how many others each row has within reach along x and y."""
    n = len(rows)
    crowds = np.zeros(n, np.float32)
    for i in range(n):  # rows come from top to bottom
        for j in range(i + 1, n):
            if rows[j, _ROW_Y] - rows[i, _ROW_Y] > reach_px:
                break
            if abs(rows[j, _ROW_X] - rows[i, _ROW_X]) <= reach_px:
                crowds[i] += rows[j, _ROW_PROBABILITY]
                crowds[j] += rows[i, _ROW_PROBABILITY]
    return crowds
