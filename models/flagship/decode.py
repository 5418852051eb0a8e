"""Network maps to localizations: candidates, probability, duplicates, units.

`rtsmlm.models.flagship.slots` says what maps hold. Where the maps are on a GPU,
`rtsmlm.models.flagship.decode_on_device` finds the same rows there, and only `localizations_of` is
left to do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32, Localizations
from rtsmlm.models.flagship.slots import (
    AXIAL_BACKGROUND_CHANNEL,
    BACKGROUND,
    BACKGROUND_CHANNEL,
    COLUMNS,
    CROWD,
    OUT_STD_PHOTONS,
    OUT_STD_X,
    OUT_STD_Y,
    OUT_STD_Z,
    PHOTONS,
    PROBABILITY,
    X,
    Y,
    Z,
    find_rows,
)
from rtsmlm.models.psf_condition import DepthRange

FIRST_CAPACITY = 4096
CROWD_KNOTS = (0.0, 0.3, 0.6, 1.0, 2.0, 4.0)
"""Expected emitters within reach at which the factors on standard deviations are given."""


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
    rows = rows_of(maps, shape, axial=depth is not None, settings=settings)
    return localizations_of(
        rows, frame, pixel_nm=pixel_nm, excess_noise=excess_noise, depth=depth, settings=settings
    )


def rows_of(
    maps: F32, shape: tuple[int, int], *, axial: bool, settings: DecodeSettings
) -> list[F32]:
    """Return the emitters of each frame as rows of `rtsmlm.models.flagship.slots.COLUMNS` numbers.

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
    background_channel = background_channel_of(axial)
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


def localizations_of(
    rows: list[F32],
    frame: NDArray[np.int64],
    *,
    pixel_nm: float,
    excess_noise: float = 1.0,
    depth: DepthRange | None = None,
    settings: DecodeSettings = DecodeSettings(),
) -> Localizations:
    """Return rows in units, without those that are vague; see `decode`.

    Parameters
    ----------
    rows
        Of each frame, as `rows_of` returns them.
    frame, pixel_nm, excess_noise, depth, settings
        As `decode` takes them.

    Raises
    ------
    LocalizerError
        If there are not as many frame numbers as tables.
    """
    if len(rows) != len(frame):
        raise LocalizerError(f"maps of {len(rows)} frames; there must be {len(frame)}")
    if not rows:
        return Localizations.empty()
    table = np.concatenate(rows)
    numbers = np.repeat(np.asarray(frame, dtype=np.int64), [len(part) for part in rows])
    columns = _columns(table, pixel_nm, excess_noise, settings)
    if depth is not None:
        scale_z = np.interp(table[:, CROWD], CROWD_KNOTS, settings.std_scale_z) * depth.half_nm
        columns["z_nm"] = depth.middle_nm + depth.half_nm * table[:, Z]
        columns["std_z_nm"] = table[:, OUT_STD_Z] * scale_z
    return Localizations.from_columns({"frame": numbers, **columns}).take(_sure(table, settings))


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


def background_channel_of(axial: bool) -> int:
    """Return the channel of the background: the one after those of the slots."""
    return AXIAL_BACKGROUND_CHANNEL if axial else BACKGROUND_CHANNEL


def logit(probability: float) -> float:
    """Return log(p / (1 - p))."""
    return math.log(probability / (1.0 - probability))
