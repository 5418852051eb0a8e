"""Scenes deeper than the focus: tubules that blink as those of the SMLM-2016 challenge.

Every fluorophore is switched on once at a random time, blinks and bleaches; neighbouring frames
are as much alike as those of a real movie. Sage et al., Nat. Methods 16, 387 (2019), and the
simulator that its authors published (github.com/SMLM-Challenge/Challenge2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rtsmlm.bench.accuracy.scenes import PIXEL_NM, Emitters, Scene, expose
from rtsmlm.bench.accuracy.tubules import at_every_depth, three_tubules
from rtsmlm.frames import FrameBatch
from rtsmlm.localizations import Localizations
from rtsmlm.physics.psf import Psf

F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]

SIDE_PX = 64
DENSE, SPARSE = 12.6, 1.25
"""Emitters that shine in a frame, on average: 31 612 entries of truth in the 2500 frames of the
challenge's MT0.N1.HD, 24 938 in the 20 000 of MT0.N1.LD."""
LEAST_SHARE = 0.01
"""An emitter counts in a frame from this part of the full flux on, as in the simulator."""
ON_TO_DARK, DARK_TO_ON, ON_TO_BLEACHED = 3.0, 2.5, 1.5
"""Mean times in frames."""
WARM_UP = 20
"""First frames, which are left out: no fluorophore is back from the dark yet."""
SPARE = 40
"""Frames after the last fluorophore may have been switched on."""
SPARSE_FRAMES = 4
"""Frames of a sparse movie for one of a dense one: it holds a tenth of the emitters."""
HALF_LIGHT, QUARTER_LIGHT = 0.55, 0.70
"""Distance from the middle, in fields of view, and the part of the light left there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is shown."""

    place: Callable[[float, int, np.random.Generator], F64]
    """Places so many emitters in a field of so many nm; returns them, shape (n, 3)."""
    flux: float
    """Photons of an emitter that is on for the whole frame, where the light is brightest."""
    background: float
    """Photo-electrons per pixel."""
    frames: int
    """Frames of one set of tubules; the next ones show another set, as sets differ in how many
    emitters they have far from focus and where tubules cross."""


CHALLENGE = Sample(place=three_tubules, flux=10_860.0, background=90.0, frames=100)
"""The data that the challenge published with their truth, 24 frames of MT0.N1.LD, hold 90.0
photo-electrons per pixel where no emitter is near, with a variance of 2.00 times that: 100 photons,
a quantum efficiency of 0.9 and an EMCCD. Two fluorophores that are on for whole frames, with 8241
and 9926 photons at their places, and the law of `illumination` allow a flux of 10 860 +- 100 in
the middle. These photons are those before the camera and of an image that is not scaled to 1: how
many electrons they give at which depth is measured on beads, see `light_of_beads`."""
EVERY_DEPTH = Sample(place=at_every_depth, flux=8000.0, background=100.0, frames=250)
"""Harder than the challenge: as many emitters at each depth from -700 to 700 nm."""


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
    per_frame: float = DENSE,
    sample: Sample = CHALLENGE,
) -> Scene:
    """Return a movie of 64 x 64 pixels of tubules in depth.

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
    per_frame
        Emitters in a frame.
    sample
        What is shown.
    """
    batches, truths = [], []
    for first in range(0, n_frames, sample.frames):
        n = min(sample.frames, n_frames - first)
        emitters = deep_emitters(rng, n, per_frame, sample)
        # One number left out: the last frame of one structure is no neighbour of the next.
        start = first + first // sample.frames
        batch, calibration = expose(
            emitters, psf, sample.background, np.arange(n), (SIDE_PX, SIDE_PX), rng, "EMCCD"
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


def deep_emitters(
    rng: np.random.Generator,
    n_frames: int,
    per_frame: float = DENSE,
    sample: Sample = CHALLENGE,
) -> Emitters:
    """Return the emitters of one set of tubules, `per_frame` a frame."""
    size_nm = SIDE_PX * PIXEL_NM
    # Each fluorophore is seen in two to three frames; those too many are left out.
    n = round(per_frame * (n_frames + WARM_UP + SPARE))
    x, y, z = sample.place(size_nm, n, rng).T
    share = illumination(x / size_nm, y / size_nm, rng)
    blinks = blink(rng, n, n_frames)
    light = blinks.on * share[blinks.fluorophore]
    rows = np.flatnonzero(light > LEAST_SHARE)[: round(per_frame * n_frames)]
    rows = rows[np.argsort(blinks.frame[rows], kind="stable")]
    who = blinks.fluorophore[rows]
    return Emitters(
        frame=blinks.frame[rows],
        x_px=x[who] / PIXEL_NM - 0.5,
        y_px=y[who] / PIXEL_NM - 0.5,
        z_nm=z[who],
        photons=sample.flux * light[rows],
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
