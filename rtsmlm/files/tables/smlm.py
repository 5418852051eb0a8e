"""The .smlm files of ShareLoc: a zip archive of `manifest.json` and tables of binary rows.

https://github.com/imodpasteur/smlm-file-format, version 0.2. The format leaves open from where
frames and places count; its tables come from ThunderSTORM, whose plugin passes them on as they are,
so they are read and written as its own: frames from 1, x and y from the outer corner of the first
pixel.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_METADATA_BYTES, ROW_BYTES, check_size
from rtsmlm.files.tables.arrow_schema import Metadata, extra_columns_of
from rtsmlm.files.tables.columns import generator_name, needed_pixel_nm, replacing, table_from
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.text_columns import find_columns
from rtsmlm.files.tables.text_programs import THUNDERSTORM
from rtsmlm.files.tables.units import in_our_units, pixel_of, scales_of
from rtsmlm.localizations import Localizations

MANIFEST = "manifest.json"
_FORMAT = "smlm-table(binary)"
_TABLE = "localizations.bin"
_FAST = 1
"""Level of compression: higher ones take five times as long for a few percent."""

_HEADERS = {
    "frame": ("frame", "uint32", "frame"),
    "x_nm": ("x", "float32", "nm"),
    "y_nm": ("y", "float32", "nm"),
    "z_nm": ("z", "float32", "nm"),
    "photons": ("intensity", "float32", "photon"),
    "background": ("background", "float32", "photon"),
    "std_x_nm": ("x_precision", "float32", "nm"),
    "std_y_nm": ("y_precision", "float32", "nm"),
    "std_z_nm": ("z_precision", "float32", "nm"),
    "std_photons": ("std_photons", "float32", "photon"),
    "probability": ("probability", "float32", "1"),
    "channel": ("channel", "uint8", "1"),
}
"""Header, type and unit of each of our columns."""
_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")


def write_smlm(
    path: Path,
    batches: Iterable[Localizations],
    metadata: Mapping[str, Any],
    known: frozenset[str],
) -> None:
    """Write an .smlm file; parameters and errors as `write_picasso`."""
    pixel_nm = needed_pixel_nm(metadata, "an .smlm file")
    ours = [name for name in _HEADERS if name in known]
    extras = extra_columns_of(metadata)
    columns = [_HEADERS[name] for name in ours]
    columns += [(name, "float32", unit) for name, unit in extras.items()]
    dtype = np.dtype([(header, np.dtype(kind).newbyteorder("<")) for header, kind, _ in columns])
    n_rows = 0
    low, high = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
    with (
        replacing(path) as part,
        zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=_FAST) as archive,
    ):
        with archive.open(_TABLE, "w", force_zip64=True) as file:
            for batch in batches:
                rows = _rows(batch, dtype, ours, list(extras), pixel_nm)
                file.write(rows.tobytes())
                n_rows += len(rows)
                for k, (header, _, _) in enumerate(columns):
                    finite = rows[header][np.isfinite(rows[header])]
                    if len(finite):
                        low[k] = min(low[k], finite.min())
                        high[k] = max(high[k], finite.max())
        ends = {
            header: (float(low[k]), float(high[k]))
            for k, (header, _, _) in enumerate(columns)
            if low[k] <= high[k]
        }
        manifest = _manifest(columns, n_rows, metadata, ends)
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1, default=str))


def _rows(
    batch: Localizations, dtype: np.dtype[Any], ours: list[str], extras: list[str], pixel_nm: float
) -> NDArray[Any]:
    rows = np.empty(len(batch), dtype)
    for name in ours:
        column = getattr(batch, name)
        if name == "frame":
            column = column + 1
        elif name in ("x_nm", "y_nm"):
            column = column + np.float64(pixel_nm / 2)
        rows[_HEADERS[name][0]] = column
    for name in extras:
        rows[name] = batch.extra_column(name)
    return rows


def _manifest(
    columns: list[tuple[str, str, str]],
    n_rows: int,
    metadata: Mapping[str, Any],
    ends: Mapping[str, tuple[float, float]],
) -> dict[str, Any]:
    headers = [header for header, _, _ in columns]
    units = {header: unit for header, _, unit in columns}
    stated = {
        "name": _FORMAT,
        "type": "table",
        "mode": "binary",
        "extension": ".bin",
        "columns": len(columns),
        "headers": headers,
        "dtype": [kind for _, kind, _ in columns],
        "shape": [1] * len(columns),
        "units": [unit for _, _, unit in columns],
        "description": "rows of little-endian numbers",
    }
    table = {
        "name": _TABLE,
        "type": "table",
        "format": _FORMAT,
        "channel": "default",
        "rows": n_rows,
        "offset": {},
        "exposure": 0,
        "min": {header: end[0] for header, end in ends.items()},
        "max": {header: end[1] for header, end in ends.items()},
    }
    return {
        "format_version": "0.2",
        "formats": {_FORMAT: stated},
        "files": [table],
        "name": str(metadata.get("run", "localizations")),
        "description": f"written by {generator_name()}",
        "tags": [],
        "thumbnail": "",
        "sample": str((metadata.get("experiment") or {}).get("sample", "")),
        "labeling": "",
        "date": "",
        "author": "",
        "citation": "",
        "email": "",
        "units": units,
        "rtsmlm": dict(metadata),
    }


def is_smlm(path: Path) -> bool:
    """Tell whether a zip archive has what makes it an .smlm file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist()
    except Exception:  # damaged, or no archive at all
        return False


def read_smlm(
    path: Path, pixel_nm: float | None, check: RowCheck
) -> tuple[Localizations, Metadata]:
    """Read all tables of an .smlm file; where there are several, each is a channel.

    Parameters
    ----------
    path
        The file.
    pixel_nm
        Camera pixel; not given takes what our own files state.
    check
        Counts the rows that are left out.

    Raises
    ------
    FileFormatError
        If the file is damaged, holds no binary table, or needs `pixel_nm`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest_in(path, archive)
            parts = list(_tables(path, archive, manifest))
    except FileFormatError:
        raise
    # A damaged archive raises whatever zipfile, zlib and json raise.
    except Exception as error:
        raise FileFormatError(f"{path} is no .smlm file that can be read: {error}") from error
    if not parts:
        raise FileFormatError(f"{path} holds no binary table of localizations")
    stated = manifest.get("rtsmlm")
    metadata: Metadata = dict(stated) if isinstance(stated, dict) else {}
    pixel = pixel_of(pixel_nm, THUNDERSTORM, metadata.get("pixel_nm"))
    converted = [_converted(path, columns, pixel, check) for columns in parts]
    for k, columns in enumerate(converted):
        if len(parts) > 1 and "channel" not in columns:
            columns["channel"] = np.full(len(columns["frame"]), min(k, 255), np.float64)
    shared = set.intersection(*(set(columns) for columns in converted))
    whole = {name: np.concatenate([c[name] for c in converted]) for name in sorted(shared)}
    if pixel is not None:
        metadata["pixel_nm"] = pixel[0]
    return table_from(whole, check), metadata


def _manifest_in(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    n_bytes = archive.getinfo(MANIFEST).file_size
    if n_bytes > MAX_METADATA_BYTES:
        raise FileFormatError(f"the {MANIFEST} of {path} has {n_bytes} bytes")
    with archive.open(MANIFEST) as file:
        manifest = json.loads(file.read(n_bytes))
    if not isinstance(manifest, dict):
        raise FileFormatError(f"the {MANIFEST} of {path} is no object")
    return manifest


def _tables(
    path: Path, archive: zipfile.ZipFile, manifest: Mapping[str, Any]
) -> Iterator[dict[str, NDArray[np.float64]]]:
    """Yield the columns of each table, by names with their units."""
    for file in manifest["files"]:
        form = manifest["formats"].get(file.get("format"), {})
        if file.get("type") != "table" or form.get("mode") != "binary":
            continue
        headers, kinds = [str(h) for h in form["headers"]], [str(k) for k in form["dtype"]]
        sides = [int(np.prod(side)) for side in form["shape"]]
        if not len(headers) == len(kinds) == len(sides) or set(kinds) - set(_TYPES):
            raise FileFormatError(f"the {MANIFEST} of {path} contradicts itself on its columns")
        types = [np.dtype(kind).newbyteorder("<") for kind in kinds]
        fields = zip(types, sides, strict=True)
        dtype = np.dtype([(f"c{k}", kind, (side,)) for k, (kind, side) in enumerate(fields)])
        rows = _rows_in(path, archive, str(file["name"]), int(file["rows"]), dtype)
        units, offset = form.get("units") or [""] * len(headers), file.get("offset") or {}
        yield {
            _named(header, str(unit)): rows[f"c{k}"][:, 0] + float(offset.get(header, 0.0))
            for k, (header, unit) in enumerate(zip(headers, units, strict=True))
            if sides[k] == 1
        }


def _rows_in(
    path: Path, archive: zipfile.ZipFile, name: str, n_rows: int, dtype: np.dtype[Any]
) -> NDArray[Any]:
    wanted = n_rows * dtype.itemsize
    check_size(path, f"{n_rows} rows", n_rows * max(ROW_BYTES, dtype.itemsize), path.stat().st_size)
    if archive.getinfo(name).file_size != wanted:
        raise FileFormatError(f"{name} of {path} has not the {n_rows} rows that are stated")
    with archive.open(name) as file:
        return np.frombuffer(file.read(wanted), dtype, n_rows)


def _named(header: str, unit: str) -> str:
    """Return a column name as text tables have it: x [nm]."""
    return f"{header} [{unit}]" if unit not in ("", "1", "frame") else header


def _converted(
    path: Path,
    columns: dict[str, NDArray[np.float64]],
    pixel: tuple[float, float] | None,
    check: RowCheck,
) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a table by our names, in our units."""
    n_rows = len(next(iter(columns.values())))
    if "frame" not in columns:
        columns["frame"] = np.ones(n_rows)
        check.note(f"{path.name} states no frames: all rows are taken as of frame 0")
    names = find_columns(tuple(columns))
    if missing := [name for name in ("x_nm", "y_nm") if name not in names.position]:
        raise FileFormatError(f"{path} lacks {', '.join(missing)}; it has {', '.join(columns)}")
    values = tuple(columns.values())
    found = {name: values[k].astype(np.float64) for name, k in names.position.items()}
    if names.unused:
        check.note(f"columns of {path.name} that are not read: {', '.join(names.unused)}")
    scales = scales_of(path, names, THUNDERSTORM, pixel)
    return in_our_units(path, found, scales, THUNDERSTORM, pixel, check)
