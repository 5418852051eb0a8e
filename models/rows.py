"""Rows: what every network that localizes answers with, and how rows become localizations.

An architecture finds rows in the output of its network, on the CPU or where the output is; a row
holds one emitter of one frame. Units, calibrated errors and thresholds are the same for all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import LocalizerError
from rtsmlm.localizations import F32, PROBABILITY_OF_CHANNEL, Localizations
from rtsmlm.models.psf_condition import DepthRange
from rtsmlm.settings.channels import UNDECIDED


class Row(IntEnum):
    """Columns of a row: positions and their standard deviations in pixels of the frame."""

    X = 0
    Y = 1
    PHOTONS = 2
    BACKGROUND = 3
    """Photons per pixel."""
    STD_X = 4
    STD_Y = 5
    STD_PHOTONS = 6
    PROBABILITY = 7
    CROWD = 8
    """Expected number of other emitters nearby."""
    Z = 9
    """In halves of the range of z, from its middle; 0 where a network finds no z."""
    STD_Z = 10


COLUMNS = len(Row)
CHANNEL, CHANNEL_PROBABILITY = COLUMNS, COLUMNS + 1
"""Columns that only the rows of a network which tells colours apart have, behind all others: the
index of the colour, and how probable it is."""
COLUMNS_WITH_CHANNEL = COLUMNS + 2
CROWD_KNOTS = (0.0, 0.3, 0.6, 1.0, 2.0, 4.0)
"""Expected emitters within reach at which the factors on standard deviations are given."""

VAGUE_CROWD = (0.3, 1.0)
"""Expected emitters within reach up to which a dim row stands alone, and from which it is among
others. Where noise is all there is, one row in ten has more than 0.2."""


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
    """How probable it must be where it stands alone."""
    vague_crowd_probability: float = 0.9
    """How probable it must be among others, from `VAGUE_CROWD` on: more of what is dim there is an
    emitter."""
    vague_std_px: float | None = None
    """A row whose place is less certain stands alone, wherever it is: a spot far out of focus."""
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
    channel_sharpness: float = 1.0
    """Power of the odds of a colour against all others, measured on simulations."""
    min_channel_probability: float = 0.0
    """Rows whose colour is less probable are in no channel."""

    def __post_init__(self) -> None:
        for name in (
            "min_probability",
            "candidate_probability",
            "split_probability",
            "vague_probability",
            "vague_crowd_probability",
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


DEFAULTS = DecodeSettings()


def localizations_of(
    rows: list[F32],
    frame: NDArray[np.int64],
    *,
    pixel_nm: float,
    excess_noise: float = 1.0,
    depth: DepthRange | None = None,
    settings: DecodeSettings = DEFAULTS,
) -> Localizations:
    """Return rows in units, without those that are vague.

    Parameters
    ----------
    rows
        Of each frame, (m, `COLUMNS`) each, or (m, `COLUMNS_WITH_CHANNEL`).
    frame
        Camera frame numbers, (n,).
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
        If there are not as many frame numbers as tables.
    """
    if len(rows) != len(frame):
        raise LocalizerError(f"maps of {len(rows)} frames; there must be {len(frame)}")
    if not rows:
        return Localizations.empty()
    numbers = np.repeat(np.asarray(frame, dtype=np.int64), [len(part) for part in rows])
    return in_units(
        np.concatenate(rows),
        numbers,
        pixel_nm=pixel_nm,
        excess_noise=excess_noise,
        depth=depth,
        settings=settings,
    )


def in_units(
    table: F32,
    frame: NDArray[np.int64],
    *,
    pixel_nm: float,
    excess_noise: float = 1.0,
    depth: DepthRange | None = None,
    settings: DecodeSettings = DEFAULTS,
) -> Localizations:
    """Return rows in units, without those that are vague.

    Parameters
    ----------
    table
        Rows, (m, `COLUMNS`) or (m, `COLUMNS_WITH_CHANNEL`).
    frame
        Camera frame number of each, (m,).
    pixel_nm, excess_noise, depth, settings
        As for `localizations_of`.
    """
    columns = _columns(table, pixel_nm, excess_noise, settings)
    if depth is not None:
        scale_z = np.interp(table[:, Row.CROWD], CROWD_KNOTS, settings.std_scale_z) * depth.half_nm
        columns["z_nm"] = depth.middle_nm + depth.half_nm * table[:, Row.Z]
        columns["std_z_nm"] = table[:, Row.STD_Z] * scale_z
    extras: dict[str, F32] = {}
    if table.shape[1] == COLUMNS_WITH_CHANNEL:
        probability = np.ascontiguousarray(table[:, CHANNEL_PROBABILITY])
        sure = probability >= settings.min_channel_probability
        columns["channel"] = np.where(sure, table[:, CHANNEL], UNDECIDED)
        extras[PROBABILITY_OF_CHANNEL] = probability
    found = Localizations.from_columns({"frame": frame, **columns}, extras)
    return found.take(is_sure(table, settings, frame))


def is_sure(
    rows: F32, settings: DecodeSettings, frame: NDArray[np.int64] | NDArray[np.int32] | None = None
) -> NDArray[np.bool_]:
    """Return which rows are reported: those that are not vague, or probable all the same.

    Parameters
    ----------
    rows
        (m, `COLUMNS`).
    settings
        Thresholds and calibration.
    frame
        Frame of each: where a frame has more rows that only a crowd makes probable enough than
        others, the crowd is noise, such as that of a camera that makes more than is known of it.
    """
    std_photons = rows[:, Row.STD_PHOTONS] * settings.std_scale_photons
    # A network that states no error of the photons (NaN) has no vague rows.
    bright = ~(rows[:, Row.PHOTONS] < settings.vague_snr * std_photons)
    alone = bright | (rows[:, Row.PROBABILITY] > settings.vague_probability)
    needed = (settings.vague_probability, settings.vague_crowd_probability)
    place_std = np.maximum(rows[:, Row.STD_X], rows[:, Row.STD_Y])
    most_std = np.inf if settings.vague_std_px is None else settings.vague_std_px
    crowd = np.where(place_std < most_std, rows[:, Row.CROWD], 0.0)
    among = bright | (rows[:, Row.PROBABILITY] > np.interp(crowd, VAGUE_CROWD, needed))
    if frame is None or not len(rows):
        return np.asarray(among)
    number = np.unique(frame, return_inverse=True)[1]
    n_alone, n_among = (np.bincount(number, weights=kept) for kept in (alone, among))
    return np.where((n_among <= 2 * n_alone)[number], among, alone)


def _columns(
    rows: F32, pixel_nm: float, excess_noise: float, settings: DecodeSettings
) -> dict[str, NDArray[Any]]:
    light = excess_noise * settings.photons_scale
    std_nm = pixel_nm * np.interp(rows[:, Row.CROWD], CROWD_KNOTS, settings.std_scale)
    return {
        "x_nm": rows[:, Row.X] * pixel_nm,
        "y_nm": rows[:, Row.Y] * pixel_nm,
        "photons": rows[:, Row.PHOTONS] * light,
        "background": rows[:, Row.BACKGROUND] * excess_noise,
        "std_x_nm": rows[:, Row.STD_X] * std_nm,
        "std_y_nm": rows[:, Row.STD_Y] * std_nm,
        "std_photons": rows[:, Row.STD_PHOTONS] * light * settings.std_scale_photons,
        "probability": rows[:, Row.PROBABILITY],
    }


def logit(probability: float) -> float:
    """Return log(p / (1 - p))."""
    return math.log(probability / (1.0 - probability))
