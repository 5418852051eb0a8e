"""Whether a camera shows the PSF that a network was trained for: its pixel must be about the same.

Nothing but the pixel is known of a microscope; aperture and wavelength of the training are stated
in the `origin` of the manifest.
"""

from __future__ import annotations

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.models.catalog import manifest_if_model
from rtsmlm.models.manifest import Manifest

PIXEL_TOLERANCE = 0.15
"""Largest relative difference from the pixel of the training: the PSF looks as much wider."""
SAME_PIXEL = 0.02
"""Below this no depth or photon is off by more than noise."""


def check_pixel(manifest: Manifest, calibration: CameraCalibration, way_out: str) -> None:
    """Refuse a camera pixel on which a network has never seen its PSF.

    Parameters
    ----------
    manifest
        Of any network; one that takes the PSF in force is not checked.
    calibration
        Camera calibration.
    way_out
        What to set in place of the network, for the message.

    Raises
    ------
    CalibrationError
        If it is more than 15 % larger or smaller than in the training.
    """
    if manifest.pixel_nm is None or _difference(manifest, calibration) <= PIXEL_TOLERANCE:
        return
    raise CalibrationError(
        f"{_stated(manifest, calibration)}: check camera.pixel_nm, train the recipe for them, "
        f"or {way_out}"
    )


def pixel_note(manifest: Manifest, calibration: CameraCalibration) -> str:
    """Return a sentence on a pixel that differs from that of the training; else nothing."""
    if manifest.pixel_nm is None or _difference(manifest, calibration) <= SAME_PIXEL:
        return ""
    percent = 100.0 * _difference(manifest, calibration)
    return (
        f"{_stated(manifest, calibration)}, {percent:.0f} % away, so that depths and photons are "
        "off: check camera.pixel_nm, or train the recipe for them"
    )


def trained_spot_px(name: str) -> int | None:
    """Return the side of the spots of a localizer that was trained for one PSF, in pixels.

    Parameters
    ----------
    name
        As in `localizer.name`. None is returned for one that takes the PSF in force, and for a
        name that is wrong, which is said where the localizer is opened.
    """
    manifest = manifest_if_model(name)
    return None if manifest is None else manifest.spot_px


def _difference(manifest: Manifest, calibration: CameraCalibration) -> float:
    return abs(calibration.pixel_nm / (manifest.pixel_nm or calibration.pixel_nm) - 1.0)


def _stated(manifest: Manifest, calibration: CameraCalibration) -> str:
    return (
        f"{manifest.name} was trained for pixels of {manifest.pixel_nm:g} nm; those of this camera "
        f"have {calibration.pixel_nm:g} nm"
    )
