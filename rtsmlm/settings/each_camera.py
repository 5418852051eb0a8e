"""What settings, cameras and movies state of each of several cameras side by side."""

from __future__ import annotations

from dataclasses import replace

from rtsmlm.calibration import StatedCalibration, StatedPart
from rtsmlm.errors import ConfigError
from rtsmlm.settings.camera import CameraMaps, CameraSettings, EachCameraSettings

NUMBERS = ("offset_adu", "e_per_adu", "em_gain", "read_noise_e")
"""Settings that each camera may have of its own."""


def each_camera(
    camera: CameraSettings, stated: StatedCalibration
) -> list[tuple[CameraSettings, StatedPart]]:
    """Return the settings of each of several cameras, and what it states; empty for one camera.

    Parameters
    ----------
    camera
        Settings of all, with those of each.
    stated
        What the cameras or the movies state.

    Raises
    ------
    ConfigError
        If there are other cameras than the settings have, or the size of one is not known.
    """
    n = len(camera.each) or len(stated.parts)
    if camera.each and stated.parts and len(stated.parts) != n:
        raise ConfigError(
            f"camera.each has {n} cameras, and there are {len(stated.parts)}; give one for each "
            "of them, from left to right"
        )
    own = camera.each or (EachCameraSettings(),) * n
    parts = stated.parts or (None,) * n
    cameras = [
        (_merged(camera, one), _part(k, one, part, stated))
        for k, (one, part) in enumerate(zip(own, parts, strict=True))
    ]
    em_gains = {one.em_gain or part.stated.em_gain or 1.0 for one, part in cameras}
    if len(em_gains) > 1 and (camera.maps.gain or camera.maps.stack):
        raise ConfigError(
            f"the cameras have EM gains of {', '.join(f'{gain:g}' for gain in em_gains)}, which "
            "no map of the whole frame can hold; give a map of each camera (camera.each.maps)"
        )
    return cameras


def _merged(camera: CameraSettings, own: EachCameraSettings) -> CameraSettings:
    given = {name: value for name in NUMBERS if (value := getattr(own, name)) is not None}
    return camera.model_copy(update={**given, "maps": own.maps, "each": ()})


def _part(
    k: int, own: EachCameraSettings, part: StatedPart | None, stated: StatedCalibration
) -> StatedPart:
    if part is not None:
        if own.size is not None and own.size != part.size:
            raise ConfigError(
                f"camera.each.size of camera {k + 1} is {list(own.size)}, and its frames have "
                f"{list(part.size)} pixels (width and height); correct it, or leave it out"
            )
        return part
    if own.size is None:
        raise ConfigError(
            f"camera.each has several cameras, and nothing states how much of a frame camera "
            f"{k + 1} is: set camera.each.size = [width, height] for each"
        )
    # Where the whole frame lies on a chip says nothing of the part.
    return StatedPart(own.size, replace(stated, region=None))


def has_maps(maps: CameraMaps) -> bool:
    """Tell whether there is any map."""
    return any((maps.offset, maps.gain, maps.variance, maps.stack))
