"""wrong_pixels.csv: the pixels of a camera that are masked, and why; and which ones a run masks."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsmlm.calibration import CameraCalibration
from rtsmlm.errors import CalibrationError
from rtsmlm.files.limits import MAX_SIDE_PX
from rtsmlm.files.run.folder import write_text
from rtsmlm.fitting.wrong_pixels import DEAD, FLICKERING, HOT
from rtsmlm.settings.camera import CameraSettings

NAME = "wrong_pixels.csv"
"""Of the file in a run folder."""
_WORDS = {HOT: "hot", FLICKERING: "flickering", DEAD: "dead"}
_HEAD = re.compile(r"# frames of (\d{1,6}) x (\d{1,6}) pixels")
_MOST_BYTES = 1 << 24


def write_wrong_pixels(path: Path, kind: NDArray[np.uint8]) -> None:
    """Write which pixels are wrong.

    Parameters
    ----------
    path
        The file.
    kind
        As in `rtsmlm.fitting.wrong_pixels.WrongPixels`, shape of the frames.
    """
    text = io.StringIO()
    text.write(f"# frames of {kind.shape[1]} x {kind.shape[0]} pixels (width x height)\n")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["x_px", "y_px", "kind"])
    for y, x in np.argwhere(kind):
        rows.writerow([int(x), int(y), _WORDS[int(kind[y, x])]])
    write_text(path, text.getvalue())


def read_wrong_pixels(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return which pixels are wrong, shape (height, width); see `write_wrong_pixels`.

    Parameters
    ----------
    path
        The file.
    shape
        Height and width of the frames.

    Raises
    ------
    CalibrationError
        If it cannot be read, or is of frames of another size.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        if (found := _HEAD.match(head)) is None:
            raise ValueError("its first line does not state the size of the frames")
        stated = int(found[2]), int(found[1])
        if max(stated) > MAX_SIDE_PX:
            raise ValueError(f"frames of {stated[1]} x {stated[0]} pixels are none of a camera")
        numbers = {word: number for number, word in _WORDS.items()}
        kind = np.zeros(stated, dtype=np.uint8)
        for row in csv.DictReader(lines):
            x, y = int(row["x_px"]), int(row["y_px"])
            if not (0 <= x < stated[1] and 0 <= y < stated[0]):
                raise ValueError(f"the pixel at x {x}, y {y} lies outside of the frames")
            kind[y, x] = numbers[row["kind"]]
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise CalibrationError(
            f"camera.wrong_pixels {path} cannot be read: {error}; set it to auto, or to the "
            "wrong_pixels.csv of a run"
        ) from error
    if stated != shape:
        raise CalibrationError(
            f"camera.wrong_pixels {path} is of frames of {stated[1]} x {stated[0]} pixels, these "
            f"are of {shape[1]} x {shape[0]}: set it to auto, so that they are found anew"
        )
    return kind


def with_wrong_pixels(
    calibration: CameraCalibration, camera: CameraSettings, shape: tuple[int, int]
) -> CameraCalibration:
    """Return the calibration with the pixels masked that the settings name, before any is found.

    Parameters
    ----------
    calibration
        With those that its maps state.
    camera
        Settings of the camera.
    shape
        Height and width of the frames.

    Raises
    ------
    CalibrationError
        If the file of `camera.wrong_pixels` cannot be read, or is of other frames.
    """
    if camera.wrong_pixels == "off":
        return replace(calibration, masked=None)
    if not isinstance(camera.wrong_pixels, Path):
        return calibration
    return calibration.with_masked(read_wrong_pixels(camera.wrong_pixels, shape) > 0)


def as_run_masked(
    calibration: CameraCalibration, camera: CameraSettings, folder: Path, shape: tuple[int, int]
) -> CameraCalibration:
    """Return the calibration with the pixels masked that a run has masked.

    Parameters
    ----------
    calibration, camera, shape
        As for `with_wrong_pixels`.
    folder
        The run folder: a run that was cut may have found pixels that its settings do not name.

    Raises
    ------
    CalibrationError
        As `with_wrong_pixels`.
    """
    found = folder / NAME
    if camera.wrong_pixels == "auto" and found.is_file():
        camera = camera.model_copy(update={"wrong_pixels": found})
    return with_wrong_pixels(calibration, camera, shape)
