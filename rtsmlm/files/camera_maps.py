"""Per-pixel camera maps, and which of settings, file and defaults decides a calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import (
    CalibratedPart,
    CameraCalibration,
    Map,
    StatedCalibration,
    StatedPart,
    map_or_number,
)
from rtsmlm.errors import CalibrationError
from rtsmlm.files.map_files import read_map, read_stack
from rtsmlm.files.map_pixels import (
    Region,
    cut,
    dead_pixels,
    lies_within,
    without_dead_pixels,
)
from rtsmlm.files.side_by_side import side_by_side
from rtsmlm.localizations import F32
from rtsmlm.settings.camera import CameraMaps, CameraSettings
from rtsmlm.settings.each_camera import each_camera, has_maps

DEFAULTS = {
    "pixel_nm": 100.0,
    "offset_adu": 100.0,
    "e_per_adu": 1.0,
    "em_gain": 1.0,
    "read_noise_e": 1.6,
}
"""What is taken where neither the settings nor the camera or file state a value, and the microscope
database has none for the model of the camera."""

_MEANING = {
    "pixel_nm": "pixel of {:g} nm",
    "offset_adu": "dark value of {:g} ADU",
    "e_per_adu": "{:g} electrons per ADU",
    "em_gain": "EM gain of {:g}",
    "read_noise_e": "read noise of {:g} electrons",
}

Maps = tuple[F32 | None, F32 | None, F32 | None]


Mask = NDArray[np.bool_]
LOUD_E = 50.0
LOUD_RATIO = 10.0
"""A pixel with more read noise than this, and so many times that of others, says nothing."""


def load_camera_maps(
    maps: CameraMaps,
    note: Callable[[str], None] = lambda text: None,
    mark: Callable[[Mask], None] = lambda dead: None,
) -> Maps:
    """Return the maps of offset (ADU), gain (ADU per electron) and variance (ADU²).

    Parameters
    ----------
    maps
        Their files, and the region of them that the frames show.
    note
        Called with a sentence on dead pixels that were replaced.
    mark
        Called with which they are, for each map that has some.

    Returns
    -------
    :
        Three arrays of shape (height, width), None where no map is set.

    Raises
    ------
    CalibrationError
        If a map cannot be read, holds values no camera has, or differs in size.
    """
    found: dict[str, F32] = {}
    if maps.stack is not None:
        found |= read_stack(maps.stack, maps.order)
    for name in ("offset", "gain", "variance"):
        path: Path | None = getattr(maps, name)
        if path is not None:
            found[name] = read_map(path)
    if maps.transpose:
        found = {name: np.ascontiguousarray(values.T) for name, values in found.items()}
    shapes = {name: values.shape for name, values in found.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {h} x {w}" for name, (h, w) in shapes.items())
        message = f"camera maps differ in size: {listed}; all must fit the frames"
        raise CalibrationError(message)
    for name, values in found.items():
        source = getattr(maps, name) or maps.stack or Path()
        within = values if maps.roi is None else cut(values, maps.roi, source)
        found[name], replaced = without_dead_pixels(name, within, source)
        if replaced:
            note(replaced)
            mark(dead_pixels(name, within))
    return found.get("offset"), found.get("gain"), found.get("variance")


def resolve_calibration(camera: CameraSettings, stated: StatedCalibration) -> CameraCalibration:
    """Return the calibration to use: maps, settings, what is stated, defaults, in this order.

    Parameters
    ----------
    camera
        Settings; a value given there wins over what the camera or the file states.
    stated
        What the camera or the movie states of itself.

    Raises
    ------
    CalibrationError
        If a map is unusable, a value is out of its limits, the pixels are not square, or several
        cameras do not fit each other.
    ConfigError
        If the settings of several cameras are not those of the ones there are.
    """
    cameras = each_camera(camera, stated)
    if not cameras:
        return _of_one(camera, stated)
    parts = [CalibratedPart(part.size, _of_one(own, part.stated)) for own, part in cameras]
    joined = side_by_side(parts)
    if not has_maps(camera.maps):
        return joined
    return _with_maps_of_all(joined, camera, stated)


def _with_maps_of_all(
    joined: CameraCalibration, camera: CameraSettings, stated: StatedCalibration
) -> CameraCalibration:
    """Return the calibration with the maps of whole frames in place of what each camera has."""
    notes, dead = list(joined.notes), _Dead()
    maps = _placed(camera.maps, stated.region, notes)
    offset, gain, variance = load_camera_maps(maps, notes.append, dead.add)
    e_per_adu = joined.e_per_adu if gain is None else map_or_number(np.float32(1.0) / gain)
    read_noise_e = joined.read_noise_e
    if variance is not None:
        read_noise_e = map_or_number(np.sqrt(variance) * np.asarray(e_per_adu, np.float32))
    calibration = replace(
        joined,
        offset_adu=joined.offset_adu if offset is None else map_or_number(offset),
        e_per_adu=e_per_adu,
        read_noise_e=read_noise_e,
        maps_roi=maps.roi,
        notes=tuple(notes),
    )
    return dead.masked_in(calibration)


class _Dead:
    """Which pixels the maps of a camera state to be no pixels."""

    def __init__(self) -> None:
        self._dead: Mask | None = None

    def add(self, dead: Mask) -> None:
        """Take the dead pixels of a map."""
        self._dead = dead if self._dead is None else self._dead | dead

    def masked_in(self, calibration: CameraCalibration) -> CameraCalibration:
        """Return a calibration with them masked, and those that are too loud to say anything."""
        noise = calibration.read_noise_e
        if isinstance(noise, np.ndarray):
            self.add(noise > max(LOUD_E, LOUD_RATIO * float(np.median(noise))))
        return calibration if self._dead is None else calibration.with_masked(self._dead)


def _of_one(camera: CameraSettings, stated: StatedCalibration) -> CameraCalibration:
    """Return the calibration of one camera."""
    if camera.pixel_nm is None:
        stated.check_square()
    notes: list[str] = []
    dead = _Dead()
    maps = _placed(camera.maps, stated.region, notes)
    offset, gain, variance = load_camera_maps(maps, notes.append, dead.add)
    number = {name: _number(name, camera, stated) for name in DEFAULTS}
    e_per_adu: Map = number["e_per_adu"]
    if gain is not None:
        e_per_adu = map_or_number(np.float32(1.0) / gain)
    read_noise_e: Map = number["read_noise_e"]
    if variance is not None:
        # The map is in ADU²; electrons are what the CRLB and the likelihood count.
        read_noise_e = map_or_number(np.sqrt(variance) * np.asarray(e_per_adu, np.float32))
    calibration = CameraCalibration(
        pixel_nm=number["pixel_nm"],
        offset_adu=number["offset_adu"] if offset is None else map_or_number(offset),
        e_per_adu=e_per_adu,
        em_gain=number["em_gain"],
        read_noise_e=read_noise_e,
        maps_roi=maps.roi,
        notes=tuple(notes),
    )
    return dead.masked_in(calibration)


def _placed(maps: CameraMaps, region: Region | None, notes: list[str]) -> CameraMaps:
    """Return the maps with the region that camera or movie state, where they show more than it."""
    if region is None or maps.roi is not None:
        return maps
    shape = next((m.shape for m in load_camera_maps(maps) if m is not None), None)
    if shape is None or not lies_within(region, shape):
        return maps
    x, y, width, height = region
    notes.append(
        f"the camera maps of {shape[0]} x {shape[1]} pixels are cut to the region of the frames: "
        f"{height} x {width} pixels from row {y}, column {x} on (camera.maps.roi)"
    )
    return maps.model_copy(update={"roi": region})


def what_was_assumed(camera: CameraSettings, stated: StatedCalibration) -> list[str]:
    """Return a phrase for every value that was not stated and has its default.

    Empty when settings, maps and file leave nothing open.
    """
    return [_assumed(name, camera, stated) for name in names_assumed(camera, stated)]


def _assumed(name: str, camera: CameraSettings, stated: StatedCalibration) -> str:
    """Return what is taken for a value that is not stated, and why."""
    cameras = each_camera(camera, stated) or [(camera, StatedPart((1, 1), stated))]
    usual = dict.fromkeys(
        (part.stated.usual_value(name) for _, part in cameras)
        if name != "pixel_nm"
        else [cameras[0][1].stated.usual_value(name)]
    )
    texts = [
        f"{_MEANING[name].format(DEFAULTS[name])} (camera.{name})"
        if one is None
        else f"{_MEANING[name].format(one.value)} (camera.{name}) as {one.camera} cameras have by "
        f"the microscope database: {one.source}"
        for one in usual
    ]
    return ", and of another camera ".join(texts)


def names_assumed(camera: CameraSettings, stated: StatedCalibration) -> tuple[str, ...]:
    """Return the names of the values that were not stated and have their defaults."""
    if cameras := each_camera(camera, stated):
        open_ = {name for own, part in cameras for name in names_assumed(own, part.stated)}
        return tuple(name for name in DEFAULTS if name in open_ - _mapped(camera.maps))
    mapped = _mapped(camera.maps)
    return tuple(
        name
        for name in DEFAULTS
        if getattr(camera, name) is None and getattr(stated, name) is None and name not in mapped
    )


def _mapped(maps: CameraMaps) -> set[str]:
    """Return the names of the values that have a map."""
    in_stack = set(maps.order) if maps.stack is not None else set()
    mapped = {
        "offset_adu": maps.offset is not None or "offset" in in_stack,
        "e_per_adu": maps.gain is not None or "gain" in in_stack,
        "read_noise_e": maps.variance is not None or "variance" in in_stack,
    }
    return {name for name, is_there in mapped.items() if is_there}


def _number(name: str, camera: CameraSettings, stated: StatedCalibration) -> float:
    for source in (getattr(camera, name), getattr(stated, name)):
        if source is not None:
            return float(source)
    usual = stated.usual_value(name)
    return DEFAULTS[name] if usual is None else usual.value
