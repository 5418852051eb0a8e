"""Network maps to localizations: candidates, probability, duplicates, units.

Maps have half the resolution of the frames: channel 4a + 2r + c of a cell is attribute a of the
pixel in row r, column c of that cell. Attributes are, in this order: logit of the probability;
dx and dy, whose tanh is the offset from the pixel's centre in pixels; log(photons / 1000);
log(std) + 2 of x, y and log(photons); with an astigmatic PSF, z, whose tanh times 1.25 is the
height in halves of its range, and log(std) + 2 of that. One more channel holds
log(background) / 3 of the cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32, Localizations

LOGIT, DX, DY, LIGHT, STD_X, STD_Y, STD_LIGHT, HEIGHT, STD_HEIGHT = range(9)
PLANAR_ATTRIBUTES, AXIAL_ATTRIBUTES = 7, 9
BACKGROUND_CHANNEL = 4 * PLANAR_ATTRIBUTES
AXIAL_BACKGROUND_CHANNEL = 4 * AXIAL_ATTRIBUTES
PHOTONS_UNIT = 1000.0
BACKGROUND_SCALE = 3.0
STD_BIAS = 2.0
Z_REACH = 1.25
"""Half ranges of z that a network can state."""
COLUMNS = 11
"""Of a row: positions and their standard deviations in pixels, z in half ranges, light in
photons."""
X, Y, PHOTONS, BACKGROUND, OUT_STD_X, OUT_STD_Y, OUT_STD_PHOTONS = range(7)
PROBABILITY, CROWD, Z, OUT_STD_Z = range(7, COLUMNS)
FIRST_CAPACITY = 4096
CROWD_REACH_PX = 4
"""Neighbours are counted in a square of 9 pixels around an emitter."""
CROWD_KNOTS = (0.0, 0.3, 0.6, 1.0, 2.0, 4.0)
"""Expected emitters within reach at which the factors on standard deviations are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthRange:
    """Where a network that finds z looks for emitters."""

    middle_nm: float
    half_nm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings:
    """How maps become localizations; what is calibrated comes from the model's manifest."""

    min_probability: float = 0.5
    """Rows below this are not reported. Lower finds more emitters and more ghosts."""
    candidate_probability: float = 0.1
    """Least probability of a pixel that is looked at: at a corner four pixels share an emitter."""
    split_probability: float = 0.6
    """A pixel beside a more probable one is an emitter of its own from here on."""
    vague_snr: float = 5.5
    """A row whose photons are fewer than so many of their stated standard deviations must be the
    more probable: noise in a dark frame looks like a dim emitter, and never like a bright one."""
    vague_probability: float = 0.9
    """How probable it must be."""
    merge_px: float = 0.7
    """Of two rows closer than this in one frame, the more probable stays."""
    std_scale: tuple[float, ...] = (1.0,) * len(CROWD_KNOTS)
    """Factors on the stated standard deviations of x and y at `CROWD_KNOTS`, from simulations."""
    std_scale_z: tuple[float, ...] = (1.0,) * len(CROWD_KNOTS)
    """The same for z."""
    std_scale_photons: float = 1.0
    """Factor on the stated standard deviation of the photons."""
    photons_scale: float = 1.0
    """Factor on the photons, measured on simulations."""

    def __post_init__(self) -> None:
        for name in (
            "min_probability",
            "candidate_probability",
            "split_probability",
            "vague_probability",
        ):
            value = getattr(self, name)
            if not 0.0 < value < 1.0:
                raise LocalizerError(f"decode.{name} is {value}; it must lie between 0 and 1")
        for name in ("std_scale", "std_scale_z"):
            n = len(getattr(self, name))
            if n != len(CROWD_KNOTS):
                raise LocalizerError(
                    f"decode.{name} has {n} factors; it must have {len(CROWD_KNOTS)}"
                )


def decode(
    maps: F32,
    frame: NDArray[np.int64],
    *,
    shape: tuple[int, int],
    pixel_nm: float,
    excess_noise: float = 1.0,
    depth: DepthRange | None = None,
    settings: DecodeSettings = DecodeSettings(),
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
    background_channel = BACKGROUND_CHANNEL if depth is None else AXIAL_BACKGROUND_CHANNEL
    _check(maps, frame, shape, background_channel)
    # One compiled version for all: arrays of an engine may or may not be writeable.
    maps = np.ascontiguousarray(maps, dtype=np.float32).view()
    maps.flags.writeable = False
    parts: list[NDArray[np.float32]] = []
    frames: list[NDArray[np.int64]] = []
    capacity = FIRST_CAPACITY
    k = 0
    while k < len(maps):
        rows = np.empty((capacity, COLUMNS), dtype=np.float32)
        n = _decode_frame(
            maps,
            k,
            shape[0],
            shape[1],
            _logit(settings.candidate_probability),
            _logit(settings.split_probability),
            settings.min_probability,
            settings.merge_px,
            background_channel,
            rows,
        )
        if n > capacity:
            capacity = 2 * n
            continue
        parts.append(rows[:n])
        frames.append(np.full(n, frame[k], dtype=np.int64))
        k += 1
    if not parts:
        return Localizations.empty()
    rows, numbers = np.concatenate(parts), np.concatenate(frames)
    columns = _columns(rows, pixel_nm, excess_noise, settings)
    if depth is not None:
        scale_z = np.interp(rows[:, CROWD], CROWD_KNOTS, settings.std_scale_z) * depth.half_nm
        columns["z_nm"] = depth.middle_nm + depth.half_nm * rows[:, Z]
        columns["std_z_nm"] = rows[:, OUT_STD_Z] * scale_z
    return Localizations.from_columns({"frame": numbers, **columns}).take(_sure(rows, settings))


def _sure(rows: F32, settings: DecodeSettings) -> NDArray[np.bool_]:
    """Return which rows are not vague, or probable all the same."""
    std_photons = rows[:, OUT_STD_PHOTONS] * settings.std_scale_photons
    probable = rows[:, PROBABILITY] > settings.vague_probability
    return np.asarray((rows[:, PHOTONS] >= settings.vague_snr * std_photons) | probable)


def _columns(
    rows: F32, pixel_nm: float, excess_noise: float, settings: DecodeSettings
) -> dict[str, NDArray[Any]]:
    light = excess_noise * settings.photons_scale
    std_nm = pixel_nm * np.interp(rows[:, CROWD], CROWD_KNOTS, settings.std_scale)
    return {
        "x_nm": rows[:, X] * pixel_nm,
        "y_nm": rows[:, Y] * pixel_nm,
        "photons": rows[:, PHOTONS] * light,
        "background": rows[:, BACKGROUND] * excess_noise,
        "std_x_nm": rows[:, OUT_STD_X] * std_nm,
        "std_y_nm": rows[:, OUT_STD_Y] * std_nm,
        "std_photons": rows[:, OUT_STD_PHOTONS] * light * settings.std_scale_photons,
        "probability": rows[:, PROBABILITY],
    }


def _check(
    maps: F32, frame: NDArray[np.int64], shape: tuple[int, int], background_channel: int
) -> None:
    if maps.ndim != 4 or maps.shape[1] <= background_channel or len(maps) != len(frame):
        raise LocalizerError(
            f"maps of shape {maps.shape} for {len(frame)} frames; they must be (frames, more than "
            f"{background_channel} channels, rows / 2, columns / 2)"
        )
    if 2 * maps.shape[2] < shape[0] or 2 * maps.shape[3] < shape[1]:
        raise LocalizerError(
            f"maps of {maps.shape[2]} x {maps.shape[3]} cells do not cover frames of {shape[0]} x "
            f"{shape[1]} pixels; the engine was built for another region of interest"
        )


def _logit(probability: float) -> float:
    return math.log(probability / (1.0 - probability))


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(maps: F32, k: int, attribute: int, row: int, column: int) -> float:
    channel = 4 * attribute + 2 * (row & 1) + (column & 1)
    return np.float64(maps[k, channel, row >> 1, column >> 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _is_maximum(maps: F32, k: int, row: int, column: int, logit: float) -> bool:
    """Tell whether no neighbour is higher; of equal ones the first in reading order wins."""
    height, width = 2 * maps.shape[2], 2 * maps.shape[3]
    for r in range(max(row - 1, 0), min(row + 2, height)):
        for c in range(max(column - 1, 0), min(column + 2, width)):
            other = _slot(maps, k, LOGIT, r, c)
            earlier = r < row or (r == row and c < column)
            if other > logit or (earlier and other == logit):
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _expected_emitters(maps: F32, k: int, row: int, column: int, reach: int) -> float:
    """Return the sum of probabilities in a square around a pixel."""
    height, width = 2 * maps.shape[2], 2 * maps.shape[3]
    total = 0.0
    for r in range(max(row - reach, 0), min(row + reach + 1, height)):
        for c in range(max(column - reach, 0), min(column + reach + 1, width)):
            logit = _slot(maps, k, LOGIT, r, c)
            if logit > -12.0:
                total += 1.0 / (1.0 + math.exp(-logit))
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _std(raw: float) -> float:
    return math.exp(min(max(raw, -4.0), 3.0) - STD_BIAS)


@njit(cache=True, nogil=True, error_model="numpy")
def _write_row(
    maps: F32,
    k: int,
    row: int,
    column: int,
    probability: float,
    background_channel: int,
    out: F32,
) -> None:
    photons = PHOTONS_UNIT * math.exp(min(max(_slot(maps, k, LIGHT, row, column), -5.0), 5.0))
    out[X] = column + math.tanh(_slot(maps, k, DX, row, column))
    out[Y] = row + math.tanh(_slot(maps, k, DY, row, column))
    out[PHOTONS] = photons
    log_background = BACKGROUND_SCALE * np.float64(
        maps[k, background_channel, row >> 1, column >> 1]
    )
    out[BACKGROUND] = math.exp(min(max(log_background, -10.0), 12.0))
    out[OUT_STD_X] = _std(_slot(maps, k, STD_X, row, column))
    out[OUT_STD_Y] = _std(_slot(maps, k, STD_Y, row, column))
    out[OUT_STD_PHOTONS] = photons * _std(_slot(maps, k, STD_LIGHT, row, column))
    out[PROBABILITY] = probability
    around = _expected_emitters(maps, k, row, column, CROWD_REACH_PX)
    out[CROWD] = max(around - _expected_emitters(maps, k, row, column, 1), 0.0)
    if background_channel == AXIAL_BACKGROUND_CHANNEL:
        out[Z] = Z_REACH * math.tanh(_slot(maps, k, HEIGHT, row, column))
        out[OUT_STD_Z] = _std(_slot(maps, k, STD_HEIGHT, row, column))


@njit(cache=True, nogil=True, error_model="numpy")
def _decode_frame(
    maps: F32,
    k: int,
    height: int,
    width: int,
    candidate_logit: float,
    split_logit: float,
    min_probability: float,
    merge_px: float,
    background_channel: int,
    rows: F32,
) -> int:
    """Write the rows of one frame; return how many, or how many there may be if too many."""
    capacity = len(rows)
    n = 0
    for row in range(height):
        for column in range(width):
            logit = _slot(maps, k, LOGIT, row, column)
            # Written so that NaN is no candidate.
            if not logit > candidate_logit:
                continue
            if _is_maximum(maps, k, row, column, logit):
                # An emitter at a corner is shared by four pixels: their sum is what counts.
                probability = min(_expected_emitters(maps, k, row, column, 1), 1.0)
            elif logit > split_logit:
                probability = 1.0 / (1.0 + math.exp(-logit))
            else:
                continue
            if not probability > min_probability:
                continue
            if n < capacity:
                _write_row(maps, k, row, column, probability, background_channel, rows[n])
            n += 1
    if n > capacity:
        return n
    return _drop_duplicates(rows, n, merge_px)


@njit(cache=True, nogil=True, error_model="numpy")
def _drop_duplicates(rows: F32, n: int, merge_px: float) -> int:
    """Keep the more probable of two rows closer than the limit; return how many stay."""
    keep = np.ones(n, np.bool_)
    # Rows are in reading order of their pixels and lie within a pixel of those.
    reach = merge_px + 2.0
    for i in range(n):
        for j in range(i + 1, n):
            dx, dy = rows[j, X] - rows[i, X], rows[j, Y] - rows[i, Y]
            if dy > reach:
                break
            if keep[i] and keep[j] and dx * dx + dy * dy < merge_px * merge_px:
                if rows[j, PROBABILITY] > rows[i, PROBABILITY]:
                    keep[i] = False
                else:
                    keep[j] = False
    kept = 0
    for i in range(n):
        if keep[i]:
            rows[kept] = rows[i]
            kept += 1
    return kept
