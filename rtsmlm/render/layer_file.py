"""Predicted layers as files: a TIFF that states what it is, of what network and of which data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tifffile

from rtsmlm.errors import FileFormatError, SinkError
from rtsmlm.protocols import ImageLayer
from rtsmlm.realtime.frame_ranges import FrameRanges

PREFIX = "predicted_"
MOST_BYTES = 1 << 30
"""Of a layer that is read back."""
_MOST_PLANES = 2


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer, what is known of its error, and the frames that it is made of."""

    layer: ImageLayer
    frames: FrameRanges = field(default_factory=FrameRanges)
    uncertainty: ImageLayer | None = None


def layer_path(folder: Path, name: str) -> Path:
    """Return the file of a layer in the folder of a run."""
    return folder / f"{PREFIX}{name}.tif"


def write_layer(
    folder: Path,
    layer: ImageLayer,
    frames: FrameRanges | None = None,
    uncertainty: ImageLayer | None = None,
) -> Path:
    """Write `predicted_<name>.tif` (float32, ImageJ, with its pixel size), and return its path.

    Name and description say that it is a prediction, so that it is not taken for data. The
    description ends with one line of JSON: the model with its version and sha256, the pixel size,
    what each plane is, the number of localizations or the frames that it is made of, these as
    ranges of which both ends count, the structure that the network was stated to look at,
    whether it was given a widefield image, where the outer corner of the first pixel lies in the
    coordinates of the table (`corner_nm`, x and y; ImageJ shows these coordinates, too), and how
    many localizations lie outside.

    Parameters
    ----------
    folder
        Of the run; a file of the same layer there is replaced in one step.
    layer
        The layer.
    frames
        What it is made of, by camera frame number.
    uncertainty
        Of the layer: written as the second plane.

    Raises
    ------
    SinkError
        If it cannot be written.
    """
    path = layer_path(folder, layer.name)
    part = path.with_name(path.name + ".partial")
    planes = [layer] if uncertainty is None else [layer, uncertainty]
    names = [plane.quantity for plane in planes]
    stated = {
        "predicted": True,
        "model": layer.name,
        "version": layer.version,
        "sha256": layer.sha256,
        "pixel_nm": layer.pixel_nm,
        "planes": names,
        "frames_seen": layer.n_frames,
        "frames": [] if frames is None else frames.as_list(),
        "localizations": layer.n_localizations,
        "structure": layer.structure,
        "widefield": layer.widefield,
        "corner_nm": layer.corner_nm,
        "localizations_outside": layer.n_outside,
    }
    text = f"predicted by the network {layer.name}; these are no localizations"
    axes: dict[str, object] = {"axes": "YX"}
    if len(planes) > 1:
        axes = {"axes": "ZYX", "Labels": names}
    if layer.corner_nm is not None:  # ImageJ counts from its origin, in pixels
        x, y = (-at / layer.pixel_nm for at in layer.corner_nm)
        axes |= {"xorigin": x, "yorigin": y}
    try:
        tifffile.imwrite(
            part,
            layer.image if len(planes) == 1 else np.stack([plane.image for plane in planes]),
            imagej=True,
            resolution=(1000 / layer.pixel_nm, 1000 / layer.pixel_nm),
            metadata={**axes, "unit": "um", "Info": f"{text}\n{json.dumps(stated)}"},
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
        If it holds no images of one plane with a pixel size, or is too large.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages[0]
            if not isinstance(page, tifffile.TiffPage) or len(page.shape) != 2:
                raise FileFormatError(f"{path} holds no image of one plane")
            n_planes = min(len(file.pages), _MOST_PLANES)
            if (n_bytes := n_planes * page.nbytes) > MOST_BYTES:
                raise FileFormatError(
                    f"{path} has {n_bytes / 1e6:.0f} MB; {MOST_BYTES / 1e6:.0f} are read"
                )
            dots, unit_length = page.tags["XResolution"].value
            planes = [file.pages[k].asarray().astype(np.float32) for k in range(n_planes)]
            info = str((file.imagej_metadata or {}).get("Info", ""))
    except FileFormatError:
        raise
    except Exception as error:  # whatever a damaged file makes of a reader
        raise FileFormatError(f"cannot read the layer {path}: {error}") from error
    if not dots or not unit_length:
        raise FileFormatError(f"{path} states no pixel size")
    # `write_layer` states pixels per µm.
    return _with_provenance(path, 1000 * unit_length / dots, planes, info)


def _with_provenance(
    path: Path, pixel_nm: float, planes: Sequence[np.ndarray], info: str
) -> StoredLayer:
    name = path.stem.removeprefix(PREFIX)
    try:
        stated = json.loads(info.strip().splitlines()[-1])
        frames = FrameRanges((int(first), int(last) + 1) for first, last in stated["frames"])
        layer = ImageLayer(
            name,
            pixel_nm,
            planes[0],
            n_frames=int(stated["frames_seen"]),
            version=str(stated["version"]),
            sha256=str(stated["sha256"]),
            n_localizations=int(stated.get("localizations", 0)),
            structure=str(stated.get("structure", "")),
            widefield=bool(stated.get("widefield", False)),
            corner_nm=_corner(stated.get("corner_nm")),
            n_outside=int(stated.get("localizations_outside", 0)),
        )
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # of another program
        return StoredLayer(ImageLayer(name, pixel_nm, planes[0]))
    if len(planes) == 1 or planes[1].shape != layer.image.shape:
        return StoredLayer(layer, frames)
    error = replace(layer, image=planes[1], quantity="uncertainty")
    return StoredLayer(layer, frames, error)


def _corner(stated: object) -> tuple[float, float] | None:
    """Return the corner that a file states; None where it states none.

    Raises
    ------
    ValueError
        If these are not two numbers.
    """
    if stated is None:
        return None
    corner = np.asarray(stated, dtype=np.float64)
    if corner.shape != (2,) or not np.isfinite(corner).all():
        raise ValueError("a corner is two numbers")
    return float(corner[0]), float(corner[1])
