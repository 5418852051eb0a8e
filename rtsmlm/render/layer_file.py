"""Predicted layers as files: a TIFF that states what it is, of what network and of which frames."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.protocols import ImageLayer
from rtsmlm.realtime.frame_ranges import FrameRanges

PREFIX = "predicted_"
MOST_BYTES = 1 << 30
"""Of a layer that is read back."""


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer, and the frames that it is made of."""

    layer: ImageLayer
    frames: FrameRanges = field(default_factory=FrameRanges)


def layer_path(folder: Path, name: str) -> Path:
    """Return the file of a layer in the folder of a run."""
    return folder / f"{PREFIX}{name}.tif"


def write_layer(folder: Path, layer: ImageLayer, frames: FrameRanges | None = None) -> Path:
    """Write `predicted_<name>.tif` (float32, ImageJ, with its pixel size), and return its path.

    Name and description say that it is a prediction, so that it is not taken for data. The
    description ends with one line of JSON: the model with its version and sha256, the pixel size,
    and the frames that it is made of, as ranges of which both ends count.

    Parameters
    ----------
    folder
        Of the run; a file of the same layer there is replaced in one step.
    layer
        The layer.
    frames
        What it is made of, by camera frame number.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    path = layer_path(folder, layer.name)
    part = path.with_name(path.name + ".partial")
    stated = {
        "predicted": True,
        "model": layer.name,
        "version": layer.version,
        "sha256": layer.sha256,
        "pixel_nm": layer.pixel_nm,
        "frames_seen": layer.n_frames,
        "frames": [] if frames is None else frames.as_list(),
    }
    text = f"predicted by the network {layer.name}; these are no localizations"
    try:
        tifffile.imwrite(
            part,
            layer.image,
            imagej=True,
            resolution=(1000 / layer.pixel_nm, 1000 / layer.pixel_nm),
            metadata={"axes": "YX", "unit": "um", "Info": f"{text}\n{json.dumps(stated)}"},
        )
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SinkError(f"cannot write {path}: {error.strerror or error}; free space") from error
    return path


def read_layer(path: Path) -> StoredLayer:
    """Read a layer that `write_layer` has written, or an image of another program.

    Raises
    ------
    FileFormatError
        If it is no image of one plane with a pixel size, or is too large.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if not isinstance(page, tifffile.TiffPage) or len(page.shape) != 2:
                raise FileFormatError(f"{path} holds no image of one plane")
            if page.nbytes > MOST_BYTES:
                raise FileFormatError(
                    f"{path} has {page.nbytes / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} are read"
                )
            dots, unit_length = page.tags["XResolution"].value
            image = page.asarray().astype(np.float32)
            info = str((file.imagej_metadata or {}).get("Info", ""))
    except FileFormatError:
        raise
    except Exception as error:  # whatever a damaged file makes of a reader
        raise FileFormatError(f"cannot read the layer {path}: {error}") from error
    if not dots or not unit_length:
        raise FileFormatError(f"{path} states no pixel size")
    # `write_layer` states pixels per µm.
    return _with_provenance(path, 1000 * unit_length / dots, image, info)


def _with_provenance(path: Path, pixel_nm: float, image: np.ndarray, info: str) -> StoredLayer:
    name = path.stem.removeprefix(PREFIX)
    try:
        stated = json.loads(info.strip().splitlines()[-1])
        frames = FrameRanges((int(first), int(last) + 1) for first, last in stated["frames"])
        layer = ImageLayer(
            name,
            pixel_nm,
            image,
            n_frames=int(stated["frames_seen"]),
            version=str(stated["version"]),
            sha256=str(stated["sha256"]),
        )
    except (IndexError, KeyError, TypeError, ValueError):  # of another program
        return StoredLayer(ImageLayer(name, pixel_nm, image))
    return StoredLayer(layer, frames)
