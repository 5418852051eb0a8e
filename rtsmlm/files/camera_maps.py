"""Per-pixel camera maps, and which of settings, file and defaults decides a calibration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from rtsmlm.calibration import (
    CalibratedPart,
    CameraCalibration,
    Map,
    StatedCalibration,
    map_or_number,
    side_by_side,
)
from rtsmlm.errors import CalibrationError, FileFormatError
from rtsmlm.files.limits import MAX_SIDE_PX, check_size
from rtsmlm.files.map_pixels import Region, cut, lies_within, without_dead_pixels
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.flat import npy_layout
from rtsmlm.files.movies.tiff_decode import decoded
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
"""What is taken where neither the settings nor the camera or file state a value."""

_MEANING = {
    "pixel_nm": "pixel of {:g} nm",
    "offset_adu": "dark value of {:g} ADU",
    "e_per_adu": "{:g} electrons per ADU",
    "em_gain": "EM gain of {:g}",
    "read_noise_e": "read noise of {:g} electrons",
}

Maps = tuple[F32 | None, F32 | None, F32 | None]


def load_camera_maps(maps: CameraMaps, note: Callable[[str], None] = lambda text: None) -> Maps:
    """Return the maps of offset (ADU), gain (ADU per electron) and variance (ADU²).

    Parameters
    ----------
    maps
        Their files, and the region of them that the frames show.
    note
        Called with a sentence on dead pixels that were replaced.

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
        found |= _stack(maps.stack, maps.order)
    for name in ("offset", "gain", "variance"):
        path: Path | None = getattr(maps, name)
        if path is not None:
            found[name] = _one_map(path)
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
    notes = list(joined.notes)
    maps = _placed(camera.maps, stated.region, notes)
    offset, gain, variance = load_camera_maps(maps, notes.append)
    e_per_adu = joined.e_per_adu if gain is None else map_or_number(np.float32(1.0) / gain)
    read_noise_e = joined.read_noise_e
    if variance is not None:
        read_noise_e = map_or_number(np.sqrt(variance) * np.asarray(e_per_adu, np.float32))
    return replace(
        joined,
        offset_adu=joined.offset_adu if offset is None else map_or_number(offset),
        e_per_adu=e_per_adu,
        read_noise_e=read_noise_e,
        maps_roi=maps.roi,
        notes=tuple(notes),
    )


def _of_one(camera: CameraSettings, stated: StatedCalibration) -> CameraCalibration:
    """Return the calibration of one camera."""
    if camera.pixel_nm is None:
        stated.check_square()
    notes: list[str] = []
    maps = _placed(camera.maps, stated.region, notes)
    offset, gain, variance = load_camera_maps(maps, notes.append)
    number = {name: _number(name, camera, stated) for name in DEFAULTS}
    e_per_adu: Map = number["e_per_adu"]
    if gain is not None:
        e_per_adu = map_or_number(np.float32(1.0) / gain)
    read_noise_e: Map = number["read_noise_e"]
    if variance is not None:
        # The map is in ADU²; electrons are what the CRLB and the likelihood count.
        read_noise_e = map_or_number(np.sqrt(variance) * np.asarray(e_per_adu, np.float32))
    return CameraCalibration(
        pixel_nm=number["pixel_nm"],
        offset_adu=number["offset_adu"] if offset is None else map_or_number(offset),
        e_per_adu=e_per_adu,
        em_gain=number["em_gain"],
        read_noise_e=read_noise_e,
        maps_roi=maps.roi,
        notes=tuple(notes),
    )


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
    return [
        f"{_MEANING[name].format(DEFAULTS[name])} (camera.{name})"
        for name in names_assumed(camera, stated)
    ]


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
    return DEFAULTS[name]


def _stack(path: Path, order: tuple[str, str, str]) -> dict[str, F32]:
    if sorted(order) != ["gain", "offset", "variance"]:
        raise CalibrationError(
            f"camera.maps.order is {', '.join(order)}; it must name offset, variance and "
            "gain once each, in the order of the stack"
        )
    values = _array(path)
    if values.ndim != 3 or values.shape[0] != 3:
        raise CalibrationError(
            f"{path} has shape {values.shape}; a stack of camera maps has shape (3, height, width)"
        )
    return dict(zip(order, values, strict=True))


def _one_map(path: Path, what: str = "camera map") -> F32:
    values = np.squeeze(_array(path, what))
    if values.ndim != 2:
        raise CalibrationError(
            f"{path} has shape {values.shape}; a {what} has shape (height, width)"
        )
    return values


def load_widefield(path: Path, shape: tuple[int, int]) -> F32:
    """Return a widefield image of the field of the frames, (height, width).

    Parameters
    ----------
    path
        .npy or TIFF file.
    shape
        Height and width of the frames in camera pixels.

    Raises
    ------
    CalibrationError
        If it cannot be read, or has another size.
    """
    light = _one_map(path, "widefield image")
    if light.shape != shape or not np.isfinite(light).all():
        raise CalibrationError(
            f"results.widefield {path} has {light.shape[0]} x {light.shape[1]} pixels (rows x "
            f"columns), the frames {shape[0]} x {shape[1]}: give an image of the same region of "
            "the camera, of finite numbers"
        )
    return light


def _array(path: Path, what: str = "camera map") -> F32:
    """Read a .npy or TIFF file as float32."""
    if not path.is_file():
        raise CalibrationError(f"{what} {path} does not exist")
    try:
        values = _npy(path) if path.suffix.lower() == ".npy" else _tiff(path)
    except FileFormatError as error:
        raise CalibrationError(str(error)) from error
    # tifffile raises whatever its parser meets in a damaged file.
    except Exception as error:
        message = f"{what} {path} cannot be read as .npy or TIFF: {one_line(error)}"
        raise CalibrationError(message) from error
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what float32 cannot hold becomes infinite, and is refused
        return np.ascontiguousarray(values, dtype=np.float32)


def _npy(path: Path) -> NDArray[Any]:
    shape, dtype, offset = npy_layout(path)
    n_bytes = dtype.itemsize * int(np.prod(shape, dtype=object))
    if dtype.kind not in "uif" or min(shape) < 1 or path.stat().st_size - offset < n_bytes:
        raise FileFormatError(
            f"{path} holds {path.stat().st_size - offset} bytes of {dtype} for shape "
            f"{shape}; {n_bytes} bytes of numbers are needed"
        )
    count = n_bytes // dtype.itemsize
    return np.fromfile(path, dtype=dtype, count=count, offset=offset).reshape(shape)


def _tiff(path: Path) -> NDArray[Any]:
    with tifffile.TiffFile(path) as tif:
        series = tif.series[0]
        if max(series.shape) > MAX_SIDE_PX or series.size > 3 * MAX_SIDE_PX**2:
            message = f"{path} has shape {series.shape}; camera maps are smaller"
            raise FileFormatError(message)
        size = path.stat().st_size
        check_size(path, "maps", series.nbytes, size)
        if series.dataoffset is not None:  # one block, not compressed
            if series.dataoffset + series.nbytes > size:
                raise FileFormatError(f"{path} is cut short: its header states {series.shape}")
            return np.asarray(series.asarray(maxworkers=1))
        shape = tuple(side for side in series.keyframe.shape if side != 1)
        pages = [decoded(page, shape) for page in series.pages]
        return np.stack(pages).reshape(series.shape)
