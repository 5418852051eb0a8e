"""A scene far deeper than the focus: tubules, blinking as in the SMLM-2016 challenge.

Every fluorophore is switched on once at a random time, blinks and bleaches; neighbouring frames
are as much alike as those of a real movie. Sage et al., Nat. Methods 16, 387 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Emitters, Scene, expose
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import Psf
from rtsmlm.physics.structures import place_emitters

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

SIDE_PX = 64
HALF_DEPTH_NM = 700.0
PER_FRAME = 12.6
"""Emitters that shine in a frame, on average."""
SPARSE_SHARE = 0.12
"""Of the emitters of a dense movie, those that a sparse one shows."""
BACKGROUND = 100.0
FLUX = 8000.0
"""Detected photons of an emitter that is on for the whole frame, where the light is brightest: the
brightest of the data that the challenge published have 8240."""
LEAST_SHARE = 0.01
"""An emitter counts in a frame from this part of the full flux on."""
ON_TO_DARK, DARK_TO_ON, ON_TO_BLEACHED = 3.0, 2.5, 1.5
"""Mean times in frames."""
WARM_UP = 20
"""First frames, which are left out: no fluorophore is back from the dark yet."""
SPARE = 40
"""Frames after the last fluorophore may have been switched on."""
STRUCTURE_FRAMES = 250
"""Frames of one set of tubules; the next ones show another set."""
HALF_LIGHT, QUARTER_LIGHT = 0.55, 0.70
"""Distance from the middle, in fields of view, and the part of the light left there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blinks:
    """Time on of fluorophores by frame; all of shape (n,), ordered by fluorophore."""

    fluorophore: I64
    frame: I64
    on: F64
    """In frames, 0..1."""


def deep_scene(
    psf: Psf,
    sigma_px: float,
    rng: np.random.Generator,
    n_frames: int = 1000,
    share: float = 1.0,
) -> Scene:
    """Return a movie of 64 x 64 pixels of tubules that reach from -700 to 700 nm.

    Parameters
    ----------
    psf
        Image of a point at every depth.
    sigma_px
        PSF width given to localizers.
    rng
        Draws all.
    n_frames
        How many frames.
    share
        Part of the 12.6 emitters a frame that are there.
    """
    batches, truths = [], []
    for first in range(0, n_frames, STRUCTURE_FRAMES):
        n = min(STRUCTURE_FRAMES, n_frames - first)
        emitters = deep_emitters(rng, n)
        if share < 1.0:
            emitters = emitters.take(rng.random(len(emitters.frame)) < share)
        # One number left out: the last frame of one structure is no neighbour of the next.
        start = first + first // STRUCTURE_FRAMES
        batch, calibration = expose(
            emitters, psf, BACKGROUND, np.arange(n), (SIDE_PX, SIDE_PX), rng, "EMCCD"
        )
        index = batch.index + start
        batches.append(FrameBatch.from_pixels(batch.pixels, index=index))
        columns = emitters.table().columns()
        truths.append(Localizations.from_columns({**columns, "frame": columns["frame"] + start}))
    return Scene(
        batch=FrameBatch.concatenate(batches),
        truth=Localizations.concatenate(truths),
        calibration=calibration,
        sigma_nm=sigma_px * PIXEL_NM,
    )


def deep_emitters(rng: np.random.Generator, n_frames: int) -> Emitters:
    """Return the emitters of one set of tubules, 12.6 a frame."""
    size_nm = SIDE_PX * PIXEL_NM
    # Each fluorophore is seen in two to three frames; those too many are left out.
    n = round(PER_FRAME * (n_frames + WARM_UP + SPARE))
    place = place_emitters("filaments", n, (size_nm, size_nm), 2 * HALF_DEPTH_NM, rng)
    x, y, z = place.T
    # Few tubules dwell at some depths; as many emitters at each depth is what is asked here, and
    # a tubule stays smooth where z is replaced by its rank.
    z = HALF_DEPTH_NM * (2.0 * np.argsort(np.argsort(z)) / (n - 1) - 1.0)
    share = illumination(x / size_nm, y / size_nm, rng)
    blinks = blink(rng, n, n_frames)
    light = blinks.on * share[blinks.fluorophore]
    rows = np.flatnonzero(light > LEAST_SHARE)[: round(PER_FRAME * n_frames)]
    rows = rows[np.argsort(blinks.frame[rows], kind="stable")]
    who = blinks.fluorophore[rows]
    return Emitters(
        frame=blinks.frame[rows],
        x_px=x[who] / PIXEL_NM - 0.5,
        y_px=y[who] / PIXEL_NM - 0.5,
        z_nm=z[who],
        photons=FLUX * light[rows],
    )


def blink(rng: np.random.Generator, n: int, n_frames: int) -> Blinks:
    """Return when fluorophores are on, each switched on once.

    Parameters
    ----------
    rng
        Draws all.
    n
        How many fluorophores.
    n_frames
        Frames that are recorded, after those of the warm-up.
    """
    leave = 1.0 / ON_TO_DARK + 1.0 / ON_TO_BLEACHED
    bleaches = (1.0 / ON_TO_BLEACHED) / leave
    who = np.arange(n)
    begin = rng.uniform(-WARM_UP, n_frames, n)
    parts: list[tuple[I64, I64, F64]] = []
    while len(who):
        end = begin + rng.exponential(1.0 / leave, len(who))
        parts.append(_by_frame(who, begin, end))
        back = rng.random(len(who)) >= bleaches
        who, begin = who[back], end[back] + rng.exponential(DARK_TO_ON, int(back.sum()))
        early = begin < n_frames
        who, begin = who[early], begin[early]
    fluorophore, frame, on = (np.concatenate(column) for column in zip(*parts, strict=True))
    inside = (frame >= 0) & (frame < n_frames)
    key, row = np.unique(fluorophore[inside] * n_frames + frame[inside], return_inverse=True)
    return Blinks(
        fluorophore=key // n_frames,
        frame=key % n_frames,
        on=np.bincount(row, weights=on[inside], minlength=len(key)).astype(np.float64),
    )


def _by_frame(who: I64, begin: F64, end: F64) -> tuple[I64, I64, F64]:
    """Cut times on at the borders of frames."""
    first = np.floor(begin).astype(np.int64)
    count = np.floor(end).astype(np.int64) - first + 1
    row = np.repeat(np.arange(len(who)), count)
    step = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    frame = first[row] + step
    on = np.minimum(end[row], frame + 1.0) - np.maximum(begin[row], frame)
    return who[row], frame, on


def illumination(u: F64, v: F64, rng: np.random.Generator) -> F64:
    """Return the light at places of the field, relative to the brightest.

    Parameters
    ----------
    u, v
        Place along x and y in fields of view, 0..1, shape (n,).
    rng
        Draws the middle, up to a tenth of the field off, and the width, within 5 %.

    Notes
    -----
    A sigmoid of the distance d, 1 - 1 / (1 + exp(-k (d - half))), as in the challenge.
    """
    middle = 0.5 + rng.uniform(-0.1, 0.1, 2)
    half = HALF_LIGHT * (1.0 + rng.normal(0.0, 0.05))
    slope = np.log(3.0) / (QUARTER_LIGHT - HALF_LIGHT)
    distance = np.hypot(u - middle[0], v - middle[1])
    return np.asarray(1.0 / (1.0 + np.exp(slope * (distance - half))))
