"""Find isolated beads in a stack and measure their widths in every plane."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rtsmlm.calibrate.widths import F64, LIGHT, SIGMA_X, SIGMA_Y, fit_widths
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.boxes import default_box_px
from rtsmlm.localizations import F32

Planes: TypeAlias = Callable[[], Iterable[F32]]
"""Yields the planes of a stack in photons, (n, height, width) each, anew at every call."""

SMOOTHING_PX = 1.3
MIN_SIGNIFICANCE = 8.0
MAD_TO_STD = 1.4826
# Half width of the windows cut around beads; the part that is fitted depends on the width.
MAX_WINDOW_HALF_PX = 15
MIN_WINDOW_HALF_PX = 4
OFF_CENTER_PX = 3
FIRST_HALF_PX = 7
# A fainter neighbour changes the widths less than the PSF's own departure from a Gaussian does.
NEIGHBOUR_SHARE = 0.15
# More beads add no information; the windows of 31 pixels of that many are 150 MB.
MAX_BEADS = 200
MAX_WINDOWS = 40_000
MIN_PLANES = 5
# Half the box in PSF widths, for spots that are to be followed out of focus.
DEFOCUS_REACH = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BeadWidths:
    """Widths of beads in every plane; NaN where a fit failed."""

    sigma_x_nm: F64
    """Shape (beads, planes)."""
    sigma_y_nm: F64
    photons: F64
    position_px: F64
    """Brightest pixel of each bead as (x, y), shape (beads, 2)."""
    pixel_nm: float
    box_px: int
    """Side of the fitted box: the widths of a real PSF grow a little with it."""
    n_rejected: int
    """Candidates with neighbours or at the edge."""

    @property
    def mean_nm(self) -> F64:
        """Geometric mean of both widths, shape (beads, planes)."""
        return np.asarray(np.sqrt(self.sigma_x_nm * self.sigma_y_nm))

    @property
    def peak(self) -> F64:
        """Photons per nm² at the top of the spot, shape (beads, planes): highest in focus."""
        return np.asarray(self.photons / (2 * np.pi * self.sigma_x_nm * self.sigma_y_nm))

    def take(self, beads: NDArray[np.bool_]) -> BeadWidths:
        """Return the beads chosen by a mask."""
        return BeadWidths(
            sigma_x_nm=self.sigma_x_nm[beads],
            sigma_y_nm=self.sigma_y_nm[beads],
            photons=self.photons[beads],
            position_px=self.position_px[beads],
            pixel_nm=self.pixel_nm,
            box_px=self.box_px,
            n_rejected=self.n_rejected,
        )


def measure_beads(
    stacks: Sequence[Planes],
    pixel_nm: float,
    *,
    defocus: bool,
    box_px: int | None = None,
    bead_nm: float = 0.0,
    read_variance: float = 0.0,
) -> BeadWidths:
    """Find the isolated beads of stacks and fit an elliptical Gaussian to each in every plane.

    Parameters
    ----------
    stacks
        Stacks of the same number of planes.
    pixel_nm
        Pixel side in the sample plane.
    defocus
        Take boxes wide enough for spots out of focus; otherwise those that localizers take.
    box_px
        Side of the fitted box, odd; None takes it from the width in focus.
    bead_nm
        Diameter of the beads; the variance D²/20 of a sphere seen from above is taken out.
    read_variance
        Variance of the read noise in photons².

    Raises
    ------
    CalibrationError
        If no isolated bead is found, or none can be fitted.
    """
    windows, places, rejected = _windows(stacks, box_px)
    n, planes, side, _ = windows.shape
    flat = windows.reshape(n * planes, side, side)
    half = min(FIRST_HALF_PX if box_px is None else box_px // 2, side // 2)
    for _ in range(1 if box_px is not None else 3):
        theta, good = fit_widths(_center(flat, half), read_variance)
        focus_px = _focus_px(theta.reshape(n, planes, -1), good.reshape(n, planes))
        if box_px is None:
            reach = math.ceil(DEFOCUS_REACH * focus_px) if defocus else 0
            wanted = min(max(reach, default_box_px(focus_px) // 2), side // 2)
            if wanted == half:
                break
            half = wanted
    box = 2 * half + 1
    keep = stand_alone(places, box)
    rejected += int((~keep).sum())
    variance_px = (bead_nm / pixel_nm) ** 2 / 20
    left = theta[:, [SIGMA_X, SIGMA_Y]] ** 2 - variance_px
    sigma_nm = pixel_nm * np.sqrt(np.where(good[:, None] & (left > 0), left, np.nan))
    sigma_nm = sigma_nm.reshape(n, planes, 2)
    measured = BeadWidths(
        sigma_x_nm=sigma_nm[..., 0],
        sigma_y_nm=sigma_nm[..., 1],
        photons=np.where(good, theta[:, LIGHT], np.nan).reshape(n, planes),
        position_px=places[:, 1:3],
        pixel_nm=pixel_nm,
        box_px=box,
        n_rejected=rejected,
    ).take(keep & np.isfinite(sigma_nm[..., 0]).any(axis=1))
    if len(measured.position_px) == 0:
        raise CalibrationError(
            f"none of the {n} beads found stands alone within {box} pixels and can be fitted; "
            "use a sparser sample, or a smaller box (--box-px)"
        )
    return measured


def full_beads(widths: BeadWidths, full: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which beads fill the camera, shape (beads,).

    Parameters
    ----------
    widths
        The beads.
    full
        Pixels that were full in any plane, shape (height, width).
    """
    near = ndimage.maximum_filter(full, 2 * OFF_CENTER_PX + 1)
    x, y = widths.position_px.astype(np.int64).T
    return np.asarray(near[y, x], dtype=np.bool_)


def find_beads(projection: F32) -> F64:
    """Return the bright maxima of an image, brightest first.

    Parameters
    ----------
    projection
        Highest value of each pixel over all planes, in photons, shape (height, width).

    Returns
    -------
    :
        x, y and height above the background of each, shape (n, 3).
    """
    image = ndimage.gaussian_filter(projection.astype(np.float64), SMOOTHING_PX)
    background = float(np.median(image))
    # Differences of neighbours measure the noise independently of the background.
    steps = np.abs(np.diff(projection.astype(np.float64), axis=1))
    noise = MAD_TO_STD * float(np.median(steps)) / math.sqrt(2)
    top = ndimage.maximum_filter(image, 2 * MIN_WINDOW_HALF_PX + 1)
    height = image - background
    # Standard deviation of white noise after that smoothing.
    smoothed = noise / (2 * math.sqrt(math.pi) * SMOOTHING_PX)
    y, x = np.nonzero((image == top) & (height > MIN_SIGNIFICANCE * max(smoothed, 1e-9)))
    found = np.stack([x, y, height[y, x]], axis=1).astype(np.float64)
    return np.asarray(found[np.argsort(-found[:, 2])])


def _windows(stacks: Sequence[Planes], box_px: int | None) -> tuple[F32, F64, int]:
    """Cut the beads out of all planes.

    Returns
    -------
    :
        Windows, shape (beads, planes, side, side); number of the stack, x, y and height of each
        bead, shape (beads, 4); and how many candidates were rejected.
    """
    parts: list[F32] = []
    places: list[F64] = []
    rejected = 0
    for number, planes in enumerate(stacks):
        projection, n_planes = _projection(planes)
        # In small planes, cut around single beads, the bead is never quite in the middle.
        room = (min(projection.shape) - 1) // 2
        half = min(MAX_WINDOW_HALF_PX, max(room - OFF_CENTER_PX, MIN_WINDOW_HALF_PX))
        if box_px is not None:
            half = min(room, max(box_px // 2, MIN_WINDOW_HALF_PX))
        if half > room or (box_px is not None and half < box_px // 2):
            raise CalibrationError(
                f"planes of {projection.shape[0]} x {projection.shape[1]} pixels are too small "
                f"for boxes of {box_px or 2 * MIN_WINDOW_HALF_PX + 1}; give larger planes"
            )
        found = find_beads(projection)
        inside = np.all(
            (found[:, :2] >= half) & (found[:, :2] < np.array(projection.shape)[::-1] - half),
            axis=1,
        )
        alone = stand_alone(np.insert(found, 0, 0.0, axis=1), 2 * MIN_WINDOW_HALF_PX + 1)
        chosen = found[inside & alone][: min(MAX_BEADS, max(MAX_WINDOWS // n_planes, 1))]
        rejected += len(found) - len(chosen)
        if len(chosen):
            parts.append(_cut(planes, chosen[:, :2].astype(np.int64), half))
            places.append(np.insert(chosen, 0, float(number), axis=1))
    if not parts:
        raise CalibrationError(
            f"no isolated bead was found ({rejected} candidates touch each other or the edge); "
            "take bright beads, some ten pixels apart, or check the offset of the camera"
        )
    return np.concatenate(parts), np.concatenate(places), rejected


def _projection(planes: Planes) -> tuple[F32, int]:
    """Return the highest value of each pixel, and the number of planes."""
    n_planes = 0
    highest: F32 | None = None
    for part in planes():
        n_planes += len(part)
        top = part.max(axis=0)
        highest = top if highest is None else np.maximum(highest, top)
    if highest is None:
        raise CalibrationError("the stack of beads holds no plane; give a stack with planes")
    return highest, n_planes


def _cut(planes: Planes, places: NDArray[np.int64], half: int) -> F32:
    reach = np.arange(-half, half + 1)
    rows = (places[:, 1, None] + reach)[:, :, None]
    columns = (places[:, 0, None] + reach)[:, None, :]
    # (planes, beads, side, side) as read; the fit takes beads first.
    cut = [part[:, rows, columns] for part in planes()]
    return np.ascontiguousarray(np.concatenate(cut).swapaxes(0, 1), dtype=np.float32)


def _center(windows: F32, half: int) -> F32:
    middle = windows.shape[1] // 2
    inner = slice(middle - half, middle + half + 1)
    return windows[:, inner, inner]


def stand_alone(places: F64, box_px: int) -> NDArray[np.bool_]:
    """Return which beads have no comparable neighbour of the same stack within their box.

    Of each, `places` has the number of its stack, x, y and height, shape (beads, 4).
    """
    alone = np.ones(len(places), dtype=np.bool_)
    for i, (stack, x, y, height) in enumerate(places):
        near = (np.abs(places[:, 1] - x) < box_px) & (np.abs(places[:, 2] - y) < box_px)
        near &= places[:, 0] == stack
        near[i] = False
        alone[i] = not np.any(places[near, 3] > NEIGHBOUR_SHARE * height)
    return alone


def _focus_px(theta: F64, good: NDArray[np.bool_]) -> float:
    """Return the typical width of beads in their best plane."""
    if not good.any():
        raise CalibrationError(
            "no bead could be fitted in any plane; are these beads, and is the stack raw?"
        )
    area = theta[..., SIGMA_X] * theta[..., SIGMA_Y]
    # The sharpest plane has the highest peak; rings far from focus may fit narrower, and dim.
    peak = np.where(good, theta[..., LIGHT] / area, -1.0)
    best = np.argmax(peak, axis=1)
    beads = np.flatnonzero(good.any(axis=1))
    return float(np.median(np.sqrt(area[beads, best[beads]])))


def plane_z_nm(widths: BeadWidths, z_step_nm: float) -> F64:
    """Return z of each plane from the first one on.

    Raises
    ------
    CalibrationError
        If there are too few planes to find a focus.
    """
    n = widths.sigma_x_nm.shape[1]
    if n < MIN_PLANES:
        raise CalibrationError(
            f"the stack has {n} planes; {MIN_PLANES} or more are needed to find the focus"
        )
    return np.asarray(np.arange(n) * z_step_nm, dtype=np.float64)


def known_median(values: F64, axis: int, least: float = 0.0) -> F64:
    """Return the median of what is not NaN; NaN where nothing is.

    Parameters
    ----------
    values
        Any shape.
    axis
        Axis that is reduced.
    least
        Share of the values that must be known.
    """
    known = np.isfinite(values)
    enough = known.sum(axis=axis) > 0
    enough &= known.mean(axis=axis) >= least
    filled = np.where(np.expand_dims(enough, axis), values, 0.0)
    return np.asarray(np.where(enough, np.nanmedian(filled, axis=axis), np.nan))
