"""The localizer for a measured PSF: x, y and z by maximum likelihood of its image on beads."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.astigmatic_localizer import DETECTED_WIDTH, AstigmaticMle
from rtsmlm.fitting.astigmatic_mle import MAX_WANDER_SIGMA, z_limits_nm
from rtsmlm.fitting.box_fit import NO_EXTRAS
from rtsmlm.fitting.boxes import (
    CONVERGED,
    F64,
    STATUS,
    X,
    Y,
    astigmatic_box_px,
    fit_table,
)
from rtsmlm.fitting.group_shape import deep_misfits
from rtsmlm.fitting.psf_spline import PsfSpline, spline_of
from rtsmlm.fitting.spline_mle import fit_spline_mle
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.physics.psf import TablePsf
from rtsmlm.physics.psf_file import load_psf
from rtsmlm.settings.run import LocalizerSettings, RunSettings

LARGEST_BOX_PX = 31
MAX_PIXEL_RATIO = 1.02
"""Of the pixel of the camera and that of the table, either way: no table is scaled."""
ORIGIN_PHOTONS, BACKGROUND_SHARE = 2000.0, 0.01
"""Light of the spot by which both fits agree, and of its background per pixel over it: as of a
molecule, since the centre of a spot that is no Gaussian depends on how faint pixels are weighed."""
LEFT_OUT = 0.02
"""Of the range of the table at each end, where there is nothing beyond to compare with."""


class SplineMle:
    """Maximum likelihood fit of a measured PSF, as a `BoxFit`.

    Parameters
    ----------
    table
        The PSF.
    box_px
        Side of the boxes.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Newton steps per fit.
    wander_sigma
        How far from a maximum its fit may go, in widths of the spot.
    curves
        Widths of the same beads: they limit z, and x and y come out as those of fits with the
        curves do, without their wobble. None takes the limits and the origin of the table.
    pixel_nm
        Camera pixel in the sample plane, for the curves.
    """

    method = "spline-mle"
    extra_columns = NO_EXTRAS
    is_centered = False

    def __init__(
        self,
        table: TablePsf,
        *,
        box_px: int,
        excess_noise: float,
        max_iterations: int,
        wander_sigma: float = MAX_WANDER_SIGMA,
        curves: WidthCurves | None = None,
        pixel_nm: float = 1.0,
    ) -> None:
        self._spline = spline_of(table)
        self._limits_nm = spline_limits_nm(self._spline, curves)
        self._core_px, self._origin_px = box_px, np.zeros(2)
        if curves is not None:
            self._core_px = min(box_px, astigmatic_box_px(curves, pixel_nm))
            self._origin_px = table_origin_px(table, curves, pixel_nm)
        self._excess_noise, self._max_iterations = float(excess_noise), max_iterations
        self._wander_sigma = float(wander_sigma)

    def __call__(self, photons: F32, variance: F32, start_x: F32, start_y: F32, rows: F64) -> None:
        """Write the rows; see `BoxFit`."""
        unknown = np.full(len(rows), np.nan, dtype=np.float32)
        self.fit_from(photons, variance, start_x, start_y, unknown, rows)

    def fit_from(
        self,
        photons: F32,
        variance: F32,
        start_x: F32,
        start_y: F32,
        start_z_nm: F32,
        rows: F64,
    ) -> None:
        """Write the rows of fits that begin at a known z; NaN searches for it."""
        fit_spline_mle(
            photons,
            variance,
            start_x,
            start_y,
            start_z_nm,
            self._spline,
            self._limits_nm,
            self._excess_noise,
            self._max_iterations,
            self._wander_sigma,
            self._core_px,
            rows,
        )
        rows[:, [X, Y]] += self._origin_px

    def misfits(self, photons: F32, variance: F32, rows: F64) -> F64:
        """Return `deep_misfits` of boxes as given to `fit_from`, with rows of that, (n,)."""
        misfits, there = np.zeros(len(rows)), rows.copy()
        there[:, [X, Y]] -= self._origin_px
        deep_misfits(photons, variance, there, self._spline, self._excess_noise, misfits)
        return misfits


def axial_fit(
    curves: WidthCurves,
    table: TablePsf | None,
    calibration: CameraCalibration,
    box_px: int,
    max_iterations: int,
    *,
    wander_sigma: float = MAX_WANDER_SIGMA,
) -> AstigmaticMle | SplineMle:
    """Return the fit of lone emitters with curves: of their table, or of a Gaussian without one.

    Parameters
    ----------
    curves, table
        The PSF.
    calibration
        Of the camera.
    box_px, max_iterations, wander_sigma
        As for `SplineMle`.
    """
    noise, pixel_nm = calibration.excess_noise, calibration.pixel_nm
    if table is None:
        return AstigmaticMle(
            curves,
            pixel_nm=pixel_nm,
            excess_noise=noise,
            max_iterations=max_iterations,
            wander_sigma=wander_sigma,
        )
    return SplineMle(
        table,
        box_px=box_px,
        excess_noise=noise,
        max_iterations=max_iterations,
        wander_sigma=wander_sigma,
        curves=curves,
        pixel_nm=pixel_nm,
    )


class SplineMleLocalizer(SpotLocalizer):
    """Maximum likelihood fit of x, y, z, photons and background of a measured PSF.

    For a PSF with one maximum at each depth, such as an astigmatic one.

    Parameters
    ----------
    calibration
        Camera calibration; maps must have the shape of the frames.
    table
        The PSF, for the pixel of the camera.
    settings
        Threshold, box and iterations.
    curves
        Widths of the same beads, as for `SplineMle`.

    Raises
    ------
    LocalizerError
        If the PSF or the box cannot be used.
    """

    takes_wobble_off = True

    def __init__(
        self,
        *,
        calibration: CameraCalibration,
        table: TablePsf,
        settings: LocalizerSettings,
        curves: WidthCurves | None = None,
    ) -> None:
        spline = spline_of(table)
        limits_nm = spline_limits_nm(spline, curves)
        self._z_nm = (float(limits_nm[0]), float(limits_nm[1]))
        widths_px = spline.widths_px[(spline.z_nm >= limits_nm[0]) & (spline.z_nm <= limits_nm[1])]
        box_px = settings.box_px or spline_box_px(float(widths_px.max()))
        super().__init__(
            calibration=calibration,
            sigma_nm=DETECTED_WIDTH * float(np.median(widths_px)) * calibration.pixel_nm,
            settings=settings.model_copy(update={"box_px": box_px}),
            fit=SplineMle(
                table,
                box_px=box_px,
                excess_noise=calibration.excess_noise,
                max_iterations=settings.max_iterations,
                curves=curves,
                pixel_nm=calibration.pixel_nm,
            ),
        )
        self._fit_reach_px = max(
            self._fit_reach_px, 2.5 * MAX_WANDER_SIGMA * float(widths_px.max()) + 1.0
        )

    @property
    def name(self) -> str:
        """Method, range of z and box."""
        low, high = self._z_nm
        return f"{self._box_fit.method}, z {low:.0f} to {high:.0f} nm, box {self._box_px} px"


def spline_box_px(widest_px: float, *, alone: bool = False) -> int:
    """Return the side of the fitted box of a measured PSF, odd, 7 to 31 pixels.

    The wings of a real spot tell its z: 2.2 widths to each side, as for a Gaussian, leave the error
    along z 15 to 50 % above the bound, 2.8 leave 10 to 20 %, 3.5 some 8 %; but where spots are not
    known to be alone, a larger box holds more neighbours.
    """
    reach_px = (3.5 if alone else 2.8) * widest_px
    return min(max(7, 2 * math.ceil(reach_px) + 1), LARGEST_BOX_PX)


def spline_limits_nm(spline: PsfSpline, curves: WidthCurves | None) -> F64:
    """Return the least and the largest z that a fit may take, shape (2,)."""
    low, high = spline.z_nm[0], spline.z_nm[-1]
    margin = LEFT_OUT * (high - low)
    limits = np.array([low + margin, high - margin])
    return limits if curves is None else np.clip(z_limits_nm(curves), *limits)


def table_origin_px(table: TablePsf, curves: WidthCurves, pixel_nm: float) -> F64:
    """Return where a fit with the curves finds the image that the table has at (0, 0).

    Where both widths are equal: there their wobble is 0.
    """
    box = astigmatic_box_px(curves, pixel_nm)
    middle, z_nm = np.array([float(box // 2)]), np.array([curves.crossing_nm()])
    image: F32 = np.full((box, box), BACKGROUND_SHARE * ORIGIN_PHOTONS, dtype=np.float32)
    table.render(image, middle, middle, z_nm, np.array([ORIGIN_PHOTONS]))
    rows, start = fit_table(1), middle.astype(np.float32)
    fit = AstigmaticMle(curves, pixel_nm=pixel_nm, excess_noise=1.0, max_iterations=50)
    fit(image[None], np.zeros((1, box, box), np.float32), start, start, rows)
    if rows[0, STATUS] != CONVERGED:
        return np.zeros(2)
    return np.asarray(rows[0, [X, Y]] - middle)


def load_table(path: Path, pixel_nm: float) -> TablePsf:
    """Return the PSF of a file.

    Parameters
    ----------
    path
        As `rtsmlm calibrate psf --table` writes it.
    pixel_nm
        Camera pixel in the sample plane.

    Raises
    ------
    FileFormatError
        If it cannot be read.
    LocalizerError
        If it was made for another pixel, or holds one plane only.
    """
    stored = load_psf(path)
    ratio = stored.pixel_nm / pixel_nm
    if not 1.0 / MAX_PIXEL_RATIO <= ratio <= MAX_PIXEL_RATIO:
        raise LocalizerError(
            f"the PSF of {path} is for pixels of {stored.pixel_nm:g} nm, and camera.pixel_nm is "
            f"{pixel_nm:g}: measure beads with this camera (rtsmlm calibrate psf --table)"
        )
    if len(stored.table.sums) < 2:
        raise LocalizerError(
            f"the PSF of {path} holds one plane, so that nothing tells z: give a z-stack of beads "
            "to rtsmlm calibrate psf --table"
        )
    return stored.table


def open_spline_mle(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> SplineMleLocalizer:
    """Build the localizer of entry point `spline-mle`; the table gives all widths.

    Raises
    ------
    LocalizerError
        If there is no table, or it does not fit the camera.
    """
    if settings.psf.table is None:
        raise LocalizerError(
            "spline-mle fits the image of beads, and psf.table, the file with it, is not set: run "
            "`rtsmlm calibrate psf BEADS.tif --z-step-nm 20 --astigmatic --table` and set "
            "psf.table to the psf_table.npz that it writes"
        )
    astigmatism = settings.psf.astigmatism
    return SplineMleLocalizer(
        calibration=calibration,
        table=load_table(settings.psf.table, calibration.pixel_nm),
        settings=settings.localizer,
        curves=None if astigmatism is None else astigmatism.curves(),
    )
