"""Tables in HDF5 that keep each column as a dataset of its own: SMAP, DECODE, smappy.

| program | told by | first frame | origin |
|---|---|---|---|
| SMAP, `_sml.mat` saved as v7.3 | group `saveloc/loc` | 1 | centre, nm |
| DECODE `.h5` | groups `data` and `meta` | 0 | centre, px or nm by `meta` |
| smappy `.hdf5` | group `locs` | 0 | centre, nm |

Picasso keeps rows in one dataset: see `picasso`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_METADATA_BYTES
from rtsmlm.files.tables.arrow_schema import Metadata
from rtsmlm.files.tables.columns import table_from
from rtsmlm.files.tables.hdf5_rows import dataset_in, read_numbers
from rtsmlm.files.tables.hdf5_writers import METADATA, OURS
from rtsmlm.files.tables.picasso import DAMAGE, read_picasso
from rtsmlm.files.tables.sound_rows import RowCheck
from rtsmlm.files.tables.text_columns import find_columns
from rtsmlm.files.tables.text_programs import Convention, decode_convention
from rtsmlm.files.tables.units import in_our_units, pixel_of, scales_of
from rtsmlm.localizations import Localizations

F64 = NDArray[np.float64]

_SMAP = Convention(program="SMAP", first_frame=1, corner=False)
_SMAPPY = Convention(program="smappy", first_frame=0, corner=False)
_TRIPLES = {"xyz": "", "xyz_sig": "_sig", "xyz_cr": "_cr"}
"""Datasets of DECODE with a column for each axis, and what their names become in its text."""


def read_hdf5(
    path: Path, pixel_nm: float | None, check: RowCheck
) -> tuple[Localizations, Metadata, str]:
    """Read an HDF5 table of any known program.

    Parameters
    ----------
    path
        The file.
    pixel_nm
        Camera pixel; not given takes what the file states.
    check
        Counts the rows that are left out.

    Returns
    -------
    :
        Rows, metadata, and the name of the format.

    Raises
    ------
    FileFormatError
        If the file is damaged or of another kind, or needs `pixel_nm`.
    """
    try:
        # No lock: a folder on a read-only or network disk may refuse it.
        with h5py.File(path, "r", locking=False) as file:
            found = _columns(path, file)
            stated, more = _ours(path, file)
    except FileFormatError:
        raise
    except DAMAGE as error:
        raise FileFormatError(f"{path} is no HDF5 file that can be read: {error}") from error
    if found is None:
        return *read_picasso(path, pixel_nm, check), "picasso"
    columns, convention = found
    columns |= more
    names = find_columns(tuple(columns))
    missing = [name for name in ("frame", "x_nm", "y_nm") if name not in names.position]
    if missing:
        raise FileFormatError(
            f"{path} lacks {', '.join(missing)}; its columns are {', '.join(columns)[:200]}"
        )
    values = tuple(columns.values())
    ours = {name: values[k] for name, k in names.position.items()}
    lengths = {len(column) for column in ours.values()}
    if len(lengths) > 1:
        raise FileFormatError(f"{path} is damaged: its columns have {sorted(lengths)} rows")
    pixel = pixel_of(pixel_nm, convention, stated.get("pixel_nm"))
    scales = scales_of(path, names, convention, pixel)
    metadata: Metadata = {**stated, "program": convention.program}
    if pixel is not None and pixel[0] == pixel[1]:
        metadata["pixel_nm"] = pixel[0]
    if names.unused:
        check.note(f"columns of {path.name} that are not read: {', '.join(names.unused)}")
    table = table_from(in_our_units(path, ours, scales, convention, pixel, check), check)
    return table, metadata, convention.program.lower()


def _columns(path: Path, file: h5py.File) -> tuple[dict[str, F64], Convention] | None:
    """Return the columns of a file and how it counts; None where it is of another kind."""
    for place, convention in (("saveloc/loc", _SMAP), ("locs", _SMAPPY)):
        if isinstance(_inside(path, file, place), h5py.Group):
            return _flat(path, file, place), convention
    if isinstance(_inside(path, file, "data"), h5py.Group) and "meta" in file:
        return _decode(path, file)
    return None


def _ours(path: Path, file: h5py.File) -> tuple[Metadata, dict[str, F64]]:
    """Return the metadata and columns that rtsmlm has put beside those of another program."""
    if not isinstance(_inside(path, file, OURS), h5py.Group):
        return {}, {}
    dataset = dataset_in(path, file, f"{OURS}/{METADATA}")
    is_text = dataset is not None and dataset.dtype == np.uint8 and dataset.ndim == 1
    if not is_text or dataset.size > MAX_METADATA_BYTES:
        return {}, {}
    stated = json.loads(read_numbers(path, dataset).astype(np.uint8).tobytes())
    columns = _flat(path, file, OURS)
    columns.pop(METADATA, None)
    return (stated if isinstance(stated, dict) else {}), columns


def _inside(path: Path, file: h5py.File, place: str) -> object:
    """Return what lies at a place of the file; None where nothing does, or a link leads away."""
    at: object = file
    for name in place.split("/"):
        if not isinstance(at, h5py.Group) or name not in at:
            return None
        if not isinstance(at.get(name, getlink=True), h5py.HardLink):
            raise FileFormatError(f"/{place} of {path} is a link to elsewhere, which is not read")
        at = at[name]
    return at


def _flat(path: Path, file: h5py.File, place: str) -> dict[str, F64]:
    """Return the columns in a group, whichever way round MATLAB has stored each."""
    columns = {}
    for name in file[place]:
        dataset = dataset_in(path, file, f"{place}/{name}")
        if dataset is None or dataset.dtype.kind not in "iufb":
            continue
        values = read_numbers(path, dataset)
        if values.ndim == 1 or 1 in values.shape:
            columns[name] = values.ravel()
    return columns


def _decode(path: Path, file: h5py.File) -> tuple[dict[str, F64], Convention]:
    columns: dict[str, F64] = {}
    for name in file["data"]:
        dataset = dataset_in(path, file, f"data/{name}")
        if dataset is None or dataset.shape is None:
            continue  # DECODE writes nothing where all would be NaN
        values = read_numbers(path, dataset)
        if name not in _TRIPLES:
            columns[name] = values.ravel()
        elif values.ndim == 2 and values.shape[1] == 3:
            for axis, column in zip("xyz", values.T, strict=True):
                columns[axis + _TRIPLES[name]] = column
    is_its_own = "decode" in file and "version" in file["decode"].attrs
    return columns, decode_convention(_stated(file["meta"].attrs), is_its_own)


def _stated(attributes: Mapping[str, object]) -> dict[str, object]:
    stated: dict[str, object] = {}
    for name in ("xy_unit", "px_size"):
        value = attributes.get(name)
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        if isinstance(value, np.ndarray) and value.size <= 2:
            value = value.ravel().tolist()
        if isinstance(value, str) and value.startswith("["):
            value = json.loads(value)
        stated[name] = value
    return stated
