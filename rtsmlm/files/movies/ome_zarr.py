"""OME-Zarr metadata up to 0.5: which array is the image, and what its axes mean.

The metadata are read here, before zarr sees them, so that nothing in them is run. They are taken as
they come: `yaozarrs` knows 0.4 and 0.5 and refuses an image without axes, with axes by bare letters
(both 0.3 and before) or without a scale, whose frames are no worse for that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import zarr
from zarr.storage import LocalStore, StorePath

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_METADATA_BYTES
from rtsmlm.files.movies.checks import check_frame_shape, one_line
from rtsmlm.files.movies.metadata import Statements
from rtsmlm.files.movies.zarr_codecs import with_bounded_codecs

Json: TypeAlias = dict[str, object]
"""A JSON object from a file: every value is checked before it is used."""

# Decoding must not run anything: numcodecs also knows "pickle".
_CODECS = {
    "blosc", "bytes", "bz2", "crc32", "crc32c", "delta", "endian", "gzip", "lz4", "lzma",
    "sharding_indexed", "shuffle", "transpose", "zlib", "zstd",
}  # fmt: skip


def _json(path: Path) -> Json:
    """Return a metadata file as a mapping, empty where it does not exist."""
    try:
        if not path.is_file():
            return {}
        if path.stat().st_size > MAX_METADATA_BYTES:
            raise FileFormatError(f"{path} has {path.stat().st_size} bytes; that is no metadata")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be read: {one_line(error)}") from error
    if not isinstance(data, dict):
        raise FileFormatError(f"{path} holds no JSON object, as zarr metadata do")
    return data


def _attributes(path: Path) -> Json:
    attributes = _json(path / "zarr.json").get("attributes") or _json(path / ".zattrs")
    return attributes if isinstance(attributes, dict) else {}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of an array, by its name and the unit of its scale."""

    name: str = "?"
    unit: str = ""


@dataclass(frozen=True, slots=True)
class OmeImage:
    """What a group states of its first image."""

    array: str
    """Folder of the full-resolution array within the group; empty if none is named."""
    axes: tuple[Axis, ...] | None
    """None where none are stated."""
    scales: tuple[tuple[object, ...], ...]
    """Per stated scale the length of a pixel along each axis."""

    @classmethod
    def of(cls, stated: Json) -> OmeImage:
        """Return an image from an entry of `multiscales`."""
        datasets = stated.get("datasets")
        first = datasets[0] if isinstance(datasets, list) and datasets else None
        first = first if isinstance(first, dict) else {}
        array, axes = first.get("path"), stated.get("axes")
        transforms = first.get("coordinateTransformations")
        scales = [
            transform.get("scale")
            for transform in (transforms if isinstance(transforms, list) else ())
            if isinstance(transform, dict)
        ]
        return cls(
            array=array if isinstance(array, str) else "",
            axes=tuple(map(_axis, axes)) if isinstance(axes, list) else None,
            scales=tuple(tuple(scale) for scale in scales if isinstance(scale, list)),
        )


def _axis(stated: object) -> Axis:
    # OME-Zarr 0.3 named its axes by bare letters.
    if not isinstance(stated, dict):
        return Axis(str(stated))
    unit = stated.get("unit")
    return Axis(str(stated.get("name", "?")), unit if isinstance(unit, str) else "")


def image_of(path: Path) -> tuple[Json, OmeImage | None]:
    """Return the attributes, and the first image, None for a bare array."""
    attributes = _attributes(path)
    ome = attributes.get("ome", attributes)
    images = ome.get("multiscales") if isinstance(ome, dict) else None
    if isinstance(images, list) and images and isinstance(images[0], dict) and images[0]:
        return attributes, OmeImage.of(images[0])
    if (path / ".zarray").is_file() or _json(path / "zarr.json").get("node_type") == "array":
        return attributes, None
    inside = sorted(p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    raise FileFormatError(
        f"{path} is a zarr group without an image (no multiscales attribute)"
        + (f"; open one of {', '.join(inside[:10])} in it" if inside else "")
    )


def array_folder(path: Path, image: OmeImage | None) -> Path:
    """Return the folder of the full-resolution array; one outside of `path` is refused."""
    if image is None:
        return path
    if not image.array:
        raise FileFormatError(f"{path} names no array for its image (multiscales, datasets)")
    folder = path / image.array
    if not folder.resolve().is_relative_to(path.resolve()) or not folder.is_dir():
        raise FileFormatError(
            f"{path} names the array {image.array!r}, which is not a folder in it"
        )
    return folder


def open_array(folder: Path) -> zarr.Array[Any]:
    """Return the array if it can be decoded without running anything and holds frames."""
    description = _json(folder / "zarr.json") or _json(folder / ".zarray")
    for codec in _codec_names(description):
        if codec.removeprefix("numcodecs.") not in _CODECS:
            raise FileFormatError(
                f"{folder} is stored with the codec {codec!r}; rtsmlm reads "
                f"{', '.join(sorted(_CODECS))}"
            )
    try:
        store = StorePath(LocalStore(folder, read_only=True))
        array = zarr.Array.from_dict(store, with_bounded_codecs(description))
        ndim, sides = array.ndim, array.shape[-2:]
    # zarr raises errors of many kinds on damaged metadata.
    except Exception as error:
        raise FileFormatError(f"{folder} is no readable zarr array: {one_line(error)}") from error
    if ndim < 2:
        raise FileFormatError(
            f"{folder} is an array of shape {array.shape}; frames have rows and columns"
        )
    check_frame_shape(folder, (int(sides[0]), int(sides[1])))
    return array


def _codec_names(description: Mapping[str, object]) -> list[str]:
    """Return the names of all codecs of an array, those within shards included."""
    names: list[str] = []
    waiting: list[object] = [description.get(key) for key in ("codecs", "filters", "compressor")]
    while waiting:
        codec = waiting.pop()
        if isinstance(codec, list):
            waiting.extend(codec)
        elif isinstance(codec, dict):
            names.append(str(codec.get("name", codec.get("id"))))
            inner = codec.get("configuration")
            if isinstance(inner, dict):
                waiting.extend([inner.get("codecs"), inner.get("index_codecs")])
        elif isinstance(codec, str):
            names.append(codec)
    return names


def axes_of(path: Path, image: OmeImage | None, ndim: int) -> tuple[Axis, ...]:
    """Return the axes, the last two being y and x."""
    if image is None or image.axes is None:
        return tuple(map(Axis, "tczyx"[-ndim:])) if ndim <= 5 else (Axis(),) * ndim
    names = [axis.name.lower() for axis in image.axes]
    if len(names) != ndim or names[-2:] != ["y", "x"]:
        raise FileFormatError(
            f"{path} names {len(names)} axes ({', '.join(names)}) for an array of {ndim} "
            "dimensions; the last two must be y and x"
        )
    return image.axes


def frame_axis_of(path: Path, axes: tuple[Axis, ...], shape: tuple[int, ...]) -> int | None:
    """Return the one axis along which there are several planes, else that of time."""
    names = [axis.name for axis in axes[:-2]]
    several = [k for k, n in enumerate(shape[:-2]) if n != 1]
    if len(several) > 1:
        found = " x ".join(f"{shape[k]} {names[k]}" for k in several)
        raise FileFormatError(
            f"{path} holds {found} planes; rtsmlm reads one series of frames: export one "
            "channel, slice and position as its own movie"
        )
    if several:
        return several[0]
    return names.index("t") if "t" in names else (0 if names else None)


def state_pixel(into: Statements, image: OmeImage | None, axes: tuple[Axis, ...]) -> None:
    """Take the pixel size from the scale of the image where its unit is given."""
    for scale in () if image is None else image.scales:
        if len(scale) == len(axes) and axes[-1].unit:
            into.state_pixel(
                scale[-1],
                axes[-1].unit,
                "OME-Zarr",
                height=scale[-2] if len(scale) > 1 else None,
                height_unit=axes[-2].unit if len(scale) > 1 else "",
            )
