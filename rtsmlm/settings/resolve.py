"""The settings in force: what was measured, stated by a device, or follows from another one."""

from __future__ import annotations

from typing import Any

from rtsmlm.calibration import CameraCalibration
from rtsmlm.settings.run import RunSettings


def with_calibration(settings: RunSettings, calibration: CameraCalibration) -> RunSettings:
    """Return the settings with the camera values in force written out."""
    maps = settings.camera.maps
    has_maps = any((maps.offset, maps.gain, maps.variance, maps.stack))
    values: dict[str, Any] = {
        "pixel_nm": calibration.pixel_nm,
        "em_gain": calibration.em_gain,
    }
    for name in ("offset_adu", "e_per_adu", "read_noise_e"):
        value = getattr(calibration, name)
        if isinstance(value, float | int) and not (has_maps and name != "offset_adu"):
            values[name] = float(value)
    camera = settings.camera.model_copy(update=values)
    return settings.model_copy(update={"camera": camera})


def with_sigma(settings: RunSettings, sigma_nm: float) -> RunSettings:
    """Return the settings with the PSF width in force written out."""
    psf = settings.psf.model_copy(update={"sigma_nm": sigma_nm})
    return settings.model_copy(update={"psf": psf})
