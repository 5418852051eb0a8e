"""The classical localizer for three dimensions: astigmatic spots, z by maximum likelihood."""

from __future__ import annotations

import numpy as np

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import LocalizerError
from rtsmlm.fitting.astigmatic_mle import MAX_WANDER_SIGMA, fit_astigmatic_mle, z_limits_nm
from rtsmlm.fitting.box_fit import NO_EXTRAS
from rtsmlm.fitting.boxes import F64, astigmatic_box_px
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.localizations import F32
from rtsmlm.physics.astigmatism import WidthCurves
from rtsmlm.settings.run import LocalizerSettings, RunSettings

# Detection assumes spots somewhat narrower than the typical one, near the narrowest: pairs stay
# apart more often (at 0.4 emitters per µm² Jaccard 0.656 for 0.649), and lone spots out of focus
# are still found (0.900 for 0.905 at 700 photons on 20 per pixel).
DETECTED_WIDTH = 0.8


class AstigmaticMle:
    """Maximum likelihood fit of an astigmatic Gaussian, as a `BoxFit`.

    Parameters
    ----------
    curves
        Widths along x and y against z.
    pixel_nm
        Camera pixel in the sample plane.
    excess_noise
        Squared excess noise factor: 2 for an EMCCD, else 1.
    max_iterations
        Newton steps per fit.
    wander_sigma
        How far from a maximum its fit may go, in widths of the spot.
    """

    method = "astigmatic-mle"
    extra_columns = NO_EXTRAS
    is_centered = False

    def __init__(
        self,
        curves: WidthCurves,
        *,
        pixel_nm: float,
        excess_noise: float,
        max_iterations: int,
        wander_sigma: float = MAX_WANDER_SIGMA,
    ) -> None:
        self._curve_table = curves.as_array(pixel_nm)
        self._limits_nm: F64 = z_limits_nm(curves)
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
        fit_astigmatic_mle(
            photons,
            variance,
            start_x,
            start_y,
            start_z_nm,
            self._curve_table,
            self._limits_nm,
            self._excess_noise,
            self._max_iterations,
            self._wander_sigma,
            rows,
        )


class AstigmaticMleLocalizer(SpotLocalizer):
    """Maximum likelihood fit of x, y, z, photons and background of an astigmatic Gaussian.

    Emitters so far beyond the range of the curves that their z is undetermined are not reported.
    Where spots overlap, a `localizer.box_px` smaller than the default finds more of them.

    Parameters
    ----------
    calibration
        Camera calibration; maps must have the shape of the frames.
    curves
        Widths along x and y against z.
    settings
        Threshold, box and iterations.

    Raises
    ------
    LocalizerError
        If the PSF width or the box cannot be used.
    """

    def __init__(
        self, *, calibration: CameraCalibration, curves: WidthCurves, settings: LocalizerSettings
    ) -> None:
        box_px = settings.box_px or astigmatic_box_px(curves, calibration.pixel_nm)
        super().__init__(
            calibration=calibration,
            sigma_nm=DETECTED_WIDTH * curves.mean_nm(),
            settings=settings.model_copy(update={"box_px": box_px}),
            fit=AstigmaticMle(
                curves,
                pixel_nm=calibration.pixel_nm,
                excess_noise=calibration.excess_noise,
                max_iterations=settings.max_iterations,
            ),
        )
        self._curves = curves
        widest_px = curves.widest_nm() / calibration.pixel_nm
        # Fits go up to so much to either side of a maximum, and some on beyond the curves.
        self._fit_reach_px = max(self._fit_reach_px, 2.5 * MAX_WANDER_SIGMA * widest_px + 1.0)

    @property
    def name(self) -> str:
        """Method, range of z and box."""
        low, high = self._curves.z_min_nm, self._curves.z_max_nm
        return f"{self._box_fit.method}, z {low:.0f} to {high:.0f} nm, box {self._box_px} px"


def open_astigmatic_mle(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> AstigmaticMleLocalizer:
    """Build the localizer of entry point `astigmatic-mle`; the curves give all widths.

    Raises
    ------
    LocalizerError
        If there are no curves.
    """
    if settings.psf.astigmatism is None:
        raise LocalizerError(
            "astigmatic-mle finds z from the widths of the spots, and psf.astigmatism, which gives "
            "how, is not set: run `rtsmlm calibrate psf BEADS.tif --z-step-nm 20 --astigmatic` and "
            "copy the section [psf.astigmatism] into the configuration"
        )
    return AstigmaticMleLocalizer(
        calibration=calibration,
        curves=settings.psf.astigmatism.curves(),
        settings=settings.localizer,
    )
