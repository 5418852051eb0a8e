"""Which localizer runs where none is named: the network for this PSF, else the fit.

A network is the default because it finds what overlaps; it holds for the PSFs that it was trained
on, and there is a fit for all others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.runtimes import open_network
from rtsmlm.errors import CalibrationError
from rtsmlm.fitting.astigmatic_localizer import open_astigmatic_mle
from rtsmlm.fitting.localizer import open_gaussian_mle
from rtsmlm.models.manifest import load_manifest, weights_folder
from rtsmlm.protocols import Localizer
from rtsmlm.settings.run import RunSettings

Opener = Callable[[RunSettings, CameraCalibration, float], Localizer]


def open_flagship_2d(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> Localizer:
    """Build the localizer of entry point `flagship-2d`."""
    return open_network("flagship-2d", settings, calibration, sigma_nm)


def open_flagship_2d_fast(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> Localizer:
    """Build the localizer of entry point `flagship-2d-fast`."""
    return open_network("flagship-2d-fast", settings, calibration, sigma_nm)


def open_flagship_astig(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> Localizer:
    """Build the localizer of entry point `flagship-astig`."""
    return open_network("flagship-astig", settings, calibration, sigma_nm)


_OPENERS: dict[str, Opener] = {
    "flagship-2d": open_flagship_2d,
    "flagship-astig": open_flagship_astig,
    "gaussian-mle": open_gaussian_mle,
    "astigmatic-mle": open_astigmatic_mle,
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A localizer by name."""

    name: str
    note: str = ""
    """Why it is not the network; empty where it is."""


def choose(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> Choice:
    """Return what `auto` means for this PSF.

    Parameters
    ----------
    settings
        Settings of the run; with `psf.astigmatism` a localizer that finds z is chosen.
    calibration
        Camera calibration.
    sigma_nm
        Standard deviation of a round PSF.
    """
    astigmatism = settings.psf.astigmatism
    curves = None if astigmatism is None else astigmatism.curves()
    network, fit = ("flagship-2d", "gaussian-mle")
    if curves is not None:
        network, fit = ("flagship-astig", "astigmatic-mle")
    try:
        load_manifest(weights_folder(network)).psf_input(sigma_nm, curves, calibration)
    except CalibrationError as error:
        return Choice(fit, f"{fit} localizes instead of {network}: {error}")
    return Choice(network)


def open_auto(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> Localizer:
    """Build the localizer of entry point `auto`."""
    return _OPENERS[choose(settings, calibration, sigma_nm).name](settings, calibration, sigma_nm)
