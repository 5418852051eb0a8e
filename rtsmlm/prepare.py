"""What a run needs before its first frame: the settings in force, the PSF width, the localizer.

Live runs, reconstruction and catch-up all ask here, so that they do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from rtsmlm import plugins
from rtsmlm.calibration import CameraCalibration
from rtsmlm.config import RunSettings
from rtsmlm.drivers.mm_stage import open_stage
from rtsmlm.engines.runtimes import AUTO
from rtsmlm.engines.selection import choose
from rtsmlm.errors import ConfigError, LocalizerError
from rtsmlm.files.movies import open_movie
from rtsmlm.fitting.psf_width import estimate_sigma_px
from rtsmlm.frames import FrameBatch, Pixels
from rtsmlm.localizations import Localizations
from rtsmlm.protocols import ALL, Actuator, Camera, Localizer

PSF_FRAMES = (32, 64, 128, 256, 512)
"""Frames on which `psf.sigma_nm = "auto"` measures the width; more if few show too little."""

ASSUMED_SIGMA_PX = 1.3
"""PSF width where it can be neither measured nor asked for: that of a well-sampled setup."""


MOST_LOCAL_FIT_PER_UM2, MOST_LOCAL_NETWORK_PER_UM2 = 0.3, 1.0
"""Densest place at which emitters are told apart: one emitter at a time, and a network."""


def open_camera(settings: RunSettings) -> Camera:
    """Open the camera that the settings name.

    Raises
    ------
    RtsmlmError
        If there is none of that name or it cannot be opened.
    """
    factory = plugins.find("rtsmlm.camera", settings.camera.driver)
    camera: Camera = factory(settings, open_movie)
    return camera


def open_actuators(
    settings: RunSettings, camera: Camera
) -> tuple[dict[str, Actuator], dict[str, Actuator]]:
    """Return the lasers and the stages that the settings name, on the core of the camera.

    Nothing is set and nothing is switched.

    Raises
    ------
    RtsmlmError
        If a device is not there or does not have the properties that are named.
    """
    if not settings.lasers and not settings.stages:
        return {}, {}
    core = getattr(camera, "core", None)
    if core is None:
        raise ConfigError(
            f"the camera {camera.name} has no Micro-Manager core, so that the lasers and stages of "
            "the configuration cannot be reached; leave [lasers] and [stages] out"
        )
    lasers: dict[str, Actuator] = {}
    for name, laser in settings.lasers.items():
        lasers[name] = plugins.find("rtsmlm.laser", laser.driver)(core, name, laser)
    stages: dict[str, Actuator] = {
        name: open_stage(core, name, stage) for name, stage in settings.stages.items()
    }
    return lasers, stages


def open_localizer(
    settings: RunSettings, calibration: CameraCalibration, sigma_nm: float
) -> Localizer:
    """Return the localizer that the settings name.

    Raises
    ------
    ConfigError
        If no localizer of that name is installed.
    """
    factory = plugins.find("rtsmlm.localizer", settings.localizer.name)
    localizer: Localizer = factory(settings, calibration, sigma_nm)
    return localizer


def localizer_note(settings: RunSettings, calibration: CameraCalibration, sigma_nm: float) -> str:
    """Return why a fit stands in for the network where no localizer is named; else nothing."""
    if settings.localizer.name != AUTO:
        return ""
    return choose(settings, calibration, sigma_nm).note


def localize_each(
    localizer: Localizer,
    batch: FrameBatch,
    on_failure: Callable[[int, str], None],
    targets: slice = ALL,
) -> Localizations:
    """Localize a batch; where it fails, frame by frame, so that one bad frame costs one frame.

    Parameters
    ----------
    localizer
        The localizer.
    batch
        Frames in order.
    on_failure
        Called with the number of each frame that fails, and why.
    targets
        Which frames are to be localized; the others are there as neighbours.
    """
    chosen = range(*targets.indices(len(batch)))
    try:
        return localizer(batch, targets)
    except LocalizerError as error:
        if len(chosen) == 1:
            on_failure(int(batch.index[chosen[0]]), str(error))
            return Localizations.empty()
    one_by_one = [localize_each(localizer, batch, on_failure, slice(k, k + 1)) for k in chosen]
    return Localizations.concatenate(one_by_one)


def table_metadata(
    run: str, shape: tuple[int, int], pixel_nm: float, sigma_nm: float | None
) -> dict[str, Any]:
    """Return what a table of localizations says of itself."""
    metadata = {
        "version": version("rtsmlm"),
        "run": run,
        "shape": list(shape),
        "pixel_nm": pixel_nm,
    }
    return metadata if sigma_nm is None else {**metadata, "psf_sigma_nm": sigma_nm}


def measure_sigma_nm(calibration: CameraCalibration, pixels: Pixels) -> float:
    """Return the PSF width measured on frames.

    Parameters
    ----------
    calibration
        Calibration of the camera.
    pixels
        Frames, uint16 ADU, shape (n, height, width).

    Raises
    ------
    LocalizerError
        If they show too few emitters.
    """
    return float(estimate_sigma_px(calibration.to_photons(pixels))) * calibration.pixel_nm


def assumed_sigma_nm(calibration: CameraCalibration, why: Exception) -> tuple[float, str]:
    """Return a PSF width to go on with where none could be measured, and a sentence about it."""
    sigma_nm = ASSUMED_SIGMA_PX * calibration.pixel_nm
    return sigma_nm, f"{why}; {sigma_nm:.0f} nm is assumed, set psf.sigma_nm to be sure"


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


def with_local_limit(settings: RunSettings) -> RunSettings:
    """Return the settings with a limit for crowded tiles: what the localizer can tell apart."""
    if settings.feedback.max_local_per_um2 is not None:
        return settings
    fits = settings.localizer.name.endswith(("-mle", "-lsq"))
    limit = MOST_LOCAL_FIT_PER_UM2 if fits else MOST_LOCAL_NETWORK_PER_UM2
    feedback = settings.feedback.model_copy(update={"max_local_per_um2": limit})
    return settings.model_copy(update={"feedback": feedback})


def with_sigma(settings: RunSettings, sigma_nm: float) -> RunSettings:
    """Return the settings with the PSF width in force written out."""
    psf = settings.psf.model_copy(update={"sigma_nm": sigma_nm})
    return settings.model_copy(update={"psf": psf})
