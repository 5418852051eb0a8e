"""Picasso's localization files: `<name>.hdf5` with dataset `/locs`, and `<name>.yaml`.

Frames count from 0 and x, y are camera pixels from the centre of pixel (0, 0), as ours are in nm;
lpx, lpy, sx, sy are pixels, z and lpz nm. Picasso drops every row with a NaN in any column, so a
column without information is left out rather than filled with NaN. Columns that Picasso has no name
for keep ours: std_photons, probability, channel.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_YAML_BYTES
from rtsmlm.files.tables.arrow_schema import Metadata, extra_columns_of
from rtsmlm.files.tables.columns import (
    generator_name,
    needed_pixel_nm,
    positive,
    replacing,
    table_from,
)
from rtsmlm.files.tables.hdf5_rows import dataset_in, read_fields
from rtsmlm.files.tables.hdf5_text import text_of
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.spot_widths import SpotWidths
from rtsmlm.files.tables.text_columns import is_not_needed
from rtsmlm.localizations import COLUMN_DTYPES, Localizations

PICASSO_NAMES = {
    "frame": "frame",
    "x_nm": "x",
    "y_nm": "y",
    "photons": "photons",
    "background": "bg",
    "std_x_nm": "lpx",
    "std_y_nm": "lpy",
    "z_nm": "z",
    "std_z_nm": "lpz",
    "std_photons": "std_photons",
    "probability": "probability",
    "channel": "channel",
}
"""Our columns by their name in `/locs`, in the order they are written."""

_TAKEN = {*PICASSO_NAMES.values(), "sx", "sy"}
IN_PIXELS = {"x_nm", "y_nm", "std_x_nm", "std_y_nm"}
CHUNK_ROWS = 1 << 15
DAMAGE = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    MemoryError,
    AttributeError,
)
"""What h5py raises on corrupt bytes."""


class _Loader(yaml.SafeLoader):
    """Safe loader that takes the Python objects in some of Picasso's files for absent."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: None)


def write_picasso(
    path: Path,
    batches: Iterable[Localizations],
    metadata: Mapping[str, Any],
    known: frozenset[str],
) -> None:
    """Write `path` (.hdf5) and its .yaml, batch by batch.

    Parameters
    ----------
    path
        The .hdf5 file; replaced if there.
    batches
        The rows; Picasso wants them ordered by frame.
    metadata
        Must hold `pixel_nm`; `shape`, `n_frames`, `psf_sigma_nm`, `psf_astigmatism` and `camera`
        are used.
    known
        Columns worth writing, as `known_columns` gives them.

    Raises
    ------
    ConfigError
        If the pixel size is unknown.
    SinkError
        If a file cannot be written.
    """
    pixel_nm = needed_pixel_nm(metadata, "a Picasso table")
    widths = SpotWidths(metadata, known)
    extras = [name for name in extra_columns_of(metadata) if name not in _TAKEN]
    dtype = _dtype(known, extras, with_sigma=widths.known)
    n_frames, far_px = 0, np.zeros(2)
    with replacing(path) as part, h5py.File(part, "w") as file:
        dataset = file.create_dataset(
            "locs", shape=(0,), maxshape=(None,), chunks=(CHUNK_ROWS,), dtype=dtype
        )
        for batch in batches:
            rows = _to_rows(batch, dtype, pixel_nm, widths, extras)
            dataset.resize(len(dataset) + len(rows), axis=0)
            dataset[len(dataset) - len(rows) :] = rows
            n_frames = max(n_frames, int(batch.frame.max(initial=-1)) + 1)
            far = [rows[axis].max(initial=0) for axis in ("y", "x")]
            far_px = np.maximum(far_px, far)
        info = _info(metadata, pixel_nm, n_frames, far_px)
        file.create_dataset("metadata", data=json.dumps(info))
    with replacing(path.with_suffix(".yaml")) as part:
        part.write_text(yaml.safe_dump_all(info, sort_keys=False), encoding="utf-8")


def _dtype(known: frozenset[str], extras: Iterable[str], *, with_sigma: bool) -> np.dtype[Any]:
    fields: list[tuple[str, Any]] = []
    for name, picasso in PICASSO_NAMES.items():
        if name in known:
            fields.append((picasso, "<u4" if name == "frame" else COLUMN_DTYPES[name]))
        if name == "photons" and with_sigma:
            fields += [("sx", "<f4"), ("sy", "<f4")]
    return np.dtype([*fields, *((name, "<f4") for name in extras)])


def _to_rows(
    batch: Localizations,
    dtype: np.dtype[Any],
    pixel_nm: float,
    widths: SpotWidths,
    extras: Iterable[str],
) -> NDArray[Any]:
    rows = np.empty(len(batch), dtype=dtype)
    for name, picasso in PICASSO_NAMES.items():
        if picasso in (dtype.names or ()):
            column = getattr(batch, name)
            rows[picasso] = column / np.float64(pixel_nm) if name in IN_PIXELS else column
    for name in extras:
        rows[name] = batch.extra_column(name)
    if widths.known:
        rows["sx"], rows["sy"] = (width / pixel_nm for width in widths.of(batch))
    return rows


def _info(
    metadata: Mapping[str, Any], pixel_nm: float, n_frames: int, far_px: NDArray[np.float64]
) -> list[dict[str, Any]]:
    """Return the YAML documents: what Picasso requires of a movie, then who localized it."""
    seen = [int(np.floor(far + 0.5)) + 1 for far in far_px]
    height, width = metadata.get("shape") or seen
    movie = {
        "Byte Order": "<",
        "Camera": str(metadata.get("camera", "unknown")),
        "Data Type": "uint16",
        "File": str(metadata.get("run", "")),
        "Frames": int(metadata.get("n_frames") or n_frames),
        "Height": int(height),
        "Width": int(width),
        "Pixelsize": float(pixel_nm),
        "Generated by": generator_name(),
    }
    # Through JSON, since YAML has no plain form for tuples, paths and numpy numbers.
    extra = json.loads(json.dumps(dict(metadata), default=str))
    return [
        movie,
        {
            "Generated by": f"{generator_name()} localize",
            "Pixelsize": float(pixel_nm),
            "rtsmlm": extra,
        },
    ]


def read_picasso(
    path: Path, pixel_nm: float | None = None, check: RowCheck | None = None
) -> tuple[Localizations, Metadata]:
    """Read a Picasso file of any age.

    Parameters
    ----------
    path
        The .hdf5 file; its metadata come from the .yaml beside it, else from within.
    pixel_nm
        Camera pixel; not given takes `Pixelsize` of the metadata.
    check
        Counts the rows that are left out; not given counts them for the error alone.

    Raises
    ------
    FileFormatError
        If the file is damaged, of another kind or larger in memory than its size allows, or the
        pixel size is not known.
    """
    try:
        # No lock: a folder on a read-only or network disk may refuse it.
        with h5py.File(path, "r", locking=False) as file:
            rows, names = _locs(path, file)
            embedded = None if _sidecar(path).is_file() else _embedded(path, file)
    except FileFormatError:
        raise
    except DAMAGE as error:
        raise FileFormatError(f"{path} is no Picasso file that can be read: {error}") from error
    check = check or RowCheck(path)
    if unused := [name for name in names if name not in rows and not is_not_needed(name)]:
        check.note(f"columns of {path.name} that are not read: {', '.join(unused)}")
    info = _read_info(path, embedded)
    metadata = _metadata(info)
    pixel_nm = pixel_nm or positive(metadata.get("pixel_nm"))
    if pixel_nm is None:
        raise FileFormatError(f"no metadata beside or in {path} state Pixelsize; give --pixel-nm")
    metadata["pixel_nm"] = pixel_nm
    columns = {
        name: rows[picasso] * np.float64(pixel_nm) if name in IN_PIXELS else rows[picasso]
        for name, picasso in PICASSO_NAMES.items()
        if picasso in rows
    }
    try:
        return table_from(columns, check), metadata
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"/locs of {path} is no table of localizations: {error}") from error


def _locs(path: Path, file: h5py.File) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Return the columns that are read, by the names of Picasso, and all names."""
    dataset = dataset_in(path, file, "locs")
    names = None if dataset is None else dataset.dtype.names
    if names is None or dataset.ndim != 1 or not {"frame", "x", "y"} <= set(names):
        raise FileFormatError(
            f"{path} holds no table /locs with frame, x and y; it is no Picasso localization file"
        )
    wanted = [name for name in PICASSO_NAMES.values() if name in names]
    return read_fields(path, dataset, wanted), names


def _sidecar(path: Path) -> Path:
    return path.with_suffix(".yaml")


def _embedded(path: Path, file: h5py.File) -> str | None:
    """Return the text of the metadata within a file, None where there is none."""
    dataset = dataset_in(path, file, "metadata")
    return None if dataset is None else text_of(path, file, dataset)


def _read_info(path: Path, embedded: str | None) -> list[Any]:
    beside = _sidecar(path)
    try:
        if beside.is_file():
            if beside.stat().st_size > MAX_YAML_BYTES:
                raise ValueError(f"it has {beside.stat().st_size} bytes, at most {MAX_YAML_BYTES}")
            return list(yaml.load_all(beside.read_text(encoding="utf-8"), _Loader))
        return list(json.loads(embedded)) if embedded is not None else []
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        source = beside if beside.is_file() else f"the metadata in {path}"
        raise FileFormatError(f"cannot read {source}: {error}") from error


def _metadata(info: list[Any]) -> Metadata:
    """Gather our keys; later steps of processing win, as they do in Picasso."""
    merged: Metadata = {}
    ours: Metadata = {}
    for document in info:
        if isinstance(document, dict):
            merged |= document
            if isinstance(document.get("rtsmlm"), dict):
                ours |= document["rtsmlm"]
    height, width, n_frames = (positive(merged.get(key)) for key in ("Height", "Width", "Frames"))
    metadata = dict(ours)
    if height and width:
        metadata["shape"] = [int(height), int(width)]
    # Our own files state only what is known: their `Frames` may end with the last localization.
    if n_frames and not ours:
        metadata["n_frames"] = int(n_frames)
    if positive(merged.get("Pixelsize")):
        metadata["pixel_nm"] = positive(merged["Pixelsize"])
    return metadata
