"""PSF as input of a network: a width, or the curves of an astigmatic one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves

REFERENCE_SIGMA_PX = 1.3
"""PSF width at which the condition is zero."""

WIDTH_CONDITION = 2
"""Length of the condition of a two-dimensional PSF."""

KNOTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Heights at which the widths of an astigmatic PSF are given, in halves of the range of z."""

CURVE_CONDITION = 2 * len(KNOTS) + 1
"""Length of the condition of an astigmatic PSF."""


@dataclass(frozen=True, slots=True)
class PsfInput:
    """PSF input of a network, and the range of z in which its output counts."""

    condition: F32
    """(1, condition size)."""
    depth: DepthRange | None = None


def round_psf(sigma_px: float | None, z_range_nm: tuple[float, float] | None = None) -> PsfInput:
    """Return the input for a round PSF: log(sigma / 1.3 px) and 1.

    Parameters
    ----------
    sigma_px
        Standard deviation of the PSF in pixels; None where it is not known, which is given as 0, 0.
    z_range_nm
        Depths that the network finds by itself, as it was trained for one PSF; None if it does not.
    """
    depth = None
    if z_range_nm is not None:
        low, high = z_range_nm
        depth = DepthRange(middle_nm=(low + high) / 2.0, half_nm=(high - low) / 2.0)
    if sigma_px is None:
        return PsfInput(np.zeros((1, WIDTH_CONDITION), dtype=np.float32), depth)
    values = [[math.log(sigma_px / REFERENCE_SIGMA_PX), 1.0]]
    return PsfInput(np.array(values, dtype=np.float32), depth)


def astigmatic_psf(curves: WidthCurves, pixel_nm: float) -> PsfInput:
    """Return the input for an astigmatic PSF: log(width / 1.3 px) at `KNOTS`, and 1.

    Parameters
    ----------
    curves
        Widths against z.
    pixel_nm
        Camera pixel in the sample plane.
    """
    depth = DepthRange(middle_nm=curves.middle_nm, half_nm=curves.half_range_nm)
    z_nm = depth.middle_nm + depth.half_nm * np.array(KNOTS)
    widths = np.concatenate([curves.x.sigma_nm(z_nm), curves.y.sigma_nm(z_nm)])
    logs = np.log(widths / (pixel_nm * REFERENCE_SIGMA_PX))
    return PsfInput(np.append(logs, 1.0)[None].astype(np.float32), depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthRange:
    """Where a network that finds z looks for emitters."""

    middle_nm: float
    half_nm: float
