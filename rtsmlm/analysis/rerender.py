"""Whether localizations explain their frames: they are rendered again, and what is left counts.

A measure for real data with a known PSF, where no ground truth is: the share of the light's
variance, above background and noise, that the localizations account for. The light of each is
fitted, so that its place and depth alone are judged. It is 0 with nothing found and 1 where noise
alone is left; the same localizations with depths or places exchanged tell what chance explains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtsmlm.localizations import F32, Localizations
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.spot_light import fit_light

_MAD = 1.4826
"""Standard deviation over median absolute deviation of normal numbers."""


@dataclass(frozen=True, slots=True)
class Rerendering:
    """What localizations explain of frames."""

    explained: float
    """Share of the variance above background and noise."""
    before: float
    """Mean square of what is left of the frames with nothing found, in photons²."""
    after: float
    """The same with the localizations."""
    noise: float
    """Variance of the noise, in photons²."""
    emitters: int
    lit: int
    """Emitters that have light after the fit."""


def rerender(
    frames: F32,
    locs: Localizations,
    psf: TablePsf,
    *,
    pixel_nm: float,
    noise_variance: float | None = None,
) -> Rerendering:
    """Return what localizations explain of frames.

    Parameters
    ----------
    frames
        Photons per pixel, (n, height, width).
    locs
        Localizations; frame numbers count from 0.
    psf
        The PSF on the pixels of the frames.
    pixel_nm
        Camera pixel in the sample plane.
    noise_variance
        Mean variance of the noise in photons²; by default what the frames show from pixel to pixel.
    """
    nothing = np.empty(0)
    before = after = 0.0
    lit = 0
    for k, frame in enumerate(frames):
        here = locs.take(locs.frame == k)
        x_px, y_px, z_nm = (v.astype(np.float64) for v in (here.x_nm, here.y_nm, here.z_nm))
        light = fit_light(frame, x_px / pixel_nm, y_px / pixel_nm, z_nm, psf)
        empty = fit_light(frame, nothing, nothing, nothing, psf)
        after += float(np.mean(light.residual**2)) / len(frames)
        before += float(np.mean(empty.residual**2)) / len(frames)
        lit += int(np.count_nonzero(light.photons > 0.0))
    noise = _noise_variance(frames) if noise_variance is None else noise_variance
    explained = (before - after) / max(before - noise, 1e-12)
    return Rerendering(explained, before, after, noise, len(locs), lit)


def _noise_variance(frames: F32) -> float:
    """Return the variance of noise that differs from pixel to pixel.

    From second differences along both axes, in which what is smooth over three pixels vanishes;
    the median does not look at the few places of bright spots.
    """
    f = np.asarray(frames, dtype=np.float64)
    along_y = f[:, :-2] - 2.0 * f[:, 1:-1] + f[:, 2:]
    both = along_y[:, :, :-2] - 2.0 * along_y[:, :, 1:-1] + along_y[:, :, 2:]
    return float((_MAD * np.median(np.abs(both))) ** 2 / 36.0)


def depths_exchanged(locs: Localizations, rng: np.random.Generator) -> Localizations:
    """Return localizations at their places, each with the depth of another one."""
    return replace(locs, z_nm=locs.z_nm[_derangement(len(locs), rng)])


def places_exchanged(locs: Localizations, rng: np.random.Generator) -> Localizations:
    """Return localizations at their depths, each with x of another one and y of a third."""
    return replace(
        locs,
        x_nm=locs.x_nm[_derangement(len(locs), rng)],
        y_nm=locs.y_nm[_derangement(len(locs), rng)],
    )


def _derangement(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return an order in which nothing stays in its place, if there are two or more."""
    order = rng.permutation(n)
    following = np.empty(n, dtype=np.int64)
    following[order] = np.roll(order, 1)
    return following
