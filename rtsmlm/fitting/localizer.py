"""The classical localizers for two dimensions, by the names of their entry points."""

from __future__ import annotations

from rtsmlm.calibration import CameraCalibration
from rtsmlm.fitting.box_fit import EllipticalLsq, GaussianMle
from rtsmlm.fitting.spot_localizer import SpotLocalizer
from rtsmlm.settings.run import LocalizerSettings, RunSettings


class GaussianMleLocalizer(SpotLocalizer):
    """Maximum likelihood fit of an integrated Gaussian of fixed or free width.

    Parameters
    ----------
    calibration, sigma_nm, settings
        As for `SpotLocalizer`.
    ellipticity
        Width along x over that along y; has no effect where widths are fitted.

    Raises
    ------
    LocalizerError
        If the PSF width or the box cannot be used.
    """

    def __init__(
        self,
        *,
        calibration: CameraCalibration,
        sigma_nm: float,
        settings: LocalizerSettings,
        ellipticity: float = 1.0,
    ) -> None:
        fit = GaussianMle(
            sigma_nm / calibration.pixel_nm,
            fit_sigma=settings.fit_sigma,
            excess_noise=calibration.excess_noise,
            max_iterations=settings.max_iterations,
            ellipticity=ellipticity,
        )
        super().__init__(calibration=calibration, sigma_nm=sigma_nm, settings=settings, fit=fit)


def open_gaussian_mle(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> GaussianMleLocalizer:
    """Build the localizer of entry point `gaussian-mle`."""
    return GaussianMleLocalizer(
        calibration=calibration,
        sigma_nm=sigma_nm,
        settings=settings.localizer,
        ellipticity=settings.psf.ellipticity,
    )


def open_elliptical_lsq(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> SpotLocalizer:
    """Build the localizer of entry point `elliptical-lsq`."""
    fit = EllipticalLsq(
        sigma_nm / calibration.pixel_nm,
        excess_noise=calibration.excess_noise,
        max_iterations=settings.localizer.max_iterations,
    )
    return SpotLocalizer(
        calibration=calibration, sigma_nm=sigma_nm, settings=settings.localizer, fit=fit
    )
