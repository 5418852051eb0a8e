"""Files of one value for each pixel, .npy or TIFF: camera maps, and widefield images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from rtsmlm.errors import CalibrationError, FileFormatError
from rtsmlm.files.limits import MAX_SIDE_PX, check_size
from rtsmlm.files.movies.checks import one_line
from rtsmlm.files.movies.flat import npy_layout
from rtsmlm.files.movies.tiff_decode import decoded
from rtsmlm.localizations import F32


def read_stack(path: Path, order: tuple[str, str, str]) -> dict[str, F32]:
    """Return the maps of one file by their names; `order` says which is which."""
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


def read_map(path: Path, what: str = "camera map") -> F32:
    """Return one map, (height, width); `what` names it in errors."""
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
    light = read_map(path, "widefield image")
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
