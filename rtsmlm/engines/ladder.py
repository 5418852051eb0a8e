"""What `auto` may mean for a PSF, from the most accurate localizer to the fastest."""

from __future__ import annotations

from rtsmlm.calibration import CameraCalibration
from rtsmlm.engines.runtimes import AUTO
from rtsmlm.engines.selection import choose, manifest_of, network_of
from rtsmlm.errors import CalibrationError
from rtsmlm.models.manifest import Manifest
from rtsmlm.settings.run import RunSettings

FASTER = {
    "flagship-2d": ("flagship-2d-fast", "gaussian-mle"),
    "flagship-astig": ("astigmatic-mle",),
}
"""What localizes the same frames sooner, and less well: the next best first."""


def ladder(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> tuple[str, ...]:
    """Return the localizers that a run may take, the best first; one alone where it is named.

    Parameters
    ----------
    settings
        Settings of the run.
    calibration
        Camera calibration.
    sigma_nm
        Standard deviation of a round PSF.
    """
    if settings.localizer.name != AUTO or settings.channels.fractions:
        return (settings.localizer.name,)
    best = choose(settings, calibration, sigma_nm).name
    if best != network_of(settings):
        return (best,)  # a fit stands in already

    def takes_psf(name: str) -> bool:
        manifest = manifest_of(name)
        return manifest is None or _takes(manifest, settings, calibration, sigma_nm)

    return (best, *filter(takes_psf, FASTER[best]))


def _takes(
    manifest: Manifest, settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> bool:
    astigmatism = settings.psf.astigmatism
    try:
        manifest.psf_input(
            sigma_nm, None if astigmatism is None else astigmatism.curves(), calibration
        )
    except CalibrationError:
        return False
    return True


def assumed_sigma_px(settings: RunSettings, usual_px: float) -> float:
    """Return a PSF width to begin with, before any frame is seen: one that the network takes.

    Parameters
    ----------
    settings
        Settings of the run.
    usual_px
        Width of a well-sampled setup, in pixels.
    """
    name = settings.localizer.name
    manifest = manifest_of(network_of(settings) if name == AUTO else name)
    if manifest is None:
        return usual_px
    low, high = manifest.valid.sigma_px
    return min(max(usual_px, low), high)
