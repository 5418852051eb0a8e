"""The settings in force: as the user gave them, with what was found out since written in.

The one place that does this; what is written in becomes known in this order:

- camera calibration: once camera or movie is open, before the first frame;
- gain, dark value and read noise, where they were assumed: after the first frames;
- PSF width: before the first frame where it is stated, else after the first frames; what lone
  emitters there say against it, and of ellipticity, halo and curves;
- the densest place that can be localized is not among them: the localizer states it, and every
  estimate of the density carries it.

What a user changes for the next run or another position is read by `settings.load.load_over`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rtsmlm.calibration import CameraCalibration, StatedCalibration
from rtsmlm.settings.camera import CameraMaps, CameraSettings, EachCameraSettings
from rtsmlm.settings.each_camera import each_camera, has_maps
from rtsmlm.settings.run import RunSettings

NOTHING: Mapping[str, float] = MappingProxyType({})


def resolve(
    settings: RunSettings,
    *,
    calibration: CameraCalibration | None = None,
    measured: Mapping[str, float] = NOTHING,
    sigma_nm: float | None = None,
    refined: Mapping[str, float] = NOTHING,
) -> RunSettings:
    """Return the settings with the values that are known by now written out.

    Parameters
    ----------
    settings
        So far in force.
    calibration
        Calibration of the camera; maps stay files, with the region of them that was used.
    measured
        What was measured on the frames, by its name in `camera`.
    sigma_nm
        Standard deviation of the PSF.
    refined
        What else was measured of the PSF, as `PsfSettings.with_measured` takes it.
    """
    camera: dict[str, Any] = {} if calibration is None else _camera_values(settings, calibration)
    camera |= measured
    psf: dict[str, Any] = {} if sigma_nm is None else {"sigma_nm": sigma_nm}
    return settings.model_copy(
        update={
            "camera": settings.camera.model_copy(update=camera),
            "psf": settings.psf.with_measured(refined).model_copy(update=psf),
        }
    )


def what_was_overruled(camera: CameraSettings, stated: StatedCalibration) -> list[str]:
    """Return a phrase for every stated value that the settings replace by another one."""
    if cameras := each_camera(camera, stated):
        several = [what_was_overruled(own, part.stated) for own, part in cameras]
        return list(dict.fromkeys(phrase for phrases in several for phrase in phrases))
    phrases = []
    for name in ("pixel_nm", "offset_adu", "e_per_adu", "em_gain", "read_noise_e"):
        setting, found = getattr(camera, name), getattr(stated, name)
        if setting is None or found is None:
            continue
        if abs(setting - found) > _SAME * max(abs(found), abs(setting)):
            phrases.append(f"camera.{name} = {setting:g} replaces the {found:g} that is stated")
    return phrases


_SAME = 0.01
"""Relative difference below which two values are one that was rounded."""


def _camera_values(settings: RunSettings, calibration: CameraCalibration) -> dict[str, Any]:
    maps = settings.camera.maps
    if calibration.parts:
        own = settings.camera.each or (EachCameraSettings(),) * len(calibration.parts)
        each = tuple(
            one.model_copy(update=_values(one.maps, part.calibration) | {"size": part.size})
            for one, part in zip(own, calibration.parts, strict=True)
        )
        values: dict[str, Any] = {"pixel_nm": calibration.pixel_nm, "each": each}
        if has_maps(maps) and calibration.maps_roi is not None:
            values["maps"] = maps.model_copy(update={"roi": calibration.maps_roi})
        return values
    return {"pixel_nm": calibration.pixel_nm, **_values(maps, calibration)}


def _values(maps: CameraMaps, calibration: CameraCalibration) -> dict[str, Any]:
    """Return what is known of one camera but its pixel size."""
    values: dict[str, Any] = {"em_gain": calibration.em_gain}
    if has_maps(maps) and calibration.maps_roi is not None:
        values["maps"] = maps.model_copy(update={"roi": calibration.maps_roi})
    for name in ("offset_adu", "e_per_adu", "read_noise_e"):
        value = getattr(calibration, name)
        if isinstance(value, float | int) and not (has_maps(maps) and name != "offset_adu"):
            values[name] = float(value)
    return values
