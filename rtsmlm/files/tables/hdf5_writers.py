"""Tables in HDF5 as SMAP, smappy and DECODE write them, block by block; `hdf5_columns` reads.

What a program has no name for keeps ours, where it takes unknown columns, or lies in a group
`rtsmlm` beside them, with our metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtsmlm.files.tables.arrow_schema import extra_columns_of
from rtsmlm.files.tables.columns import generator_name, needed_pixel_nm, replacing
from rtsmlm.files.tables.spot_widths import SpotWidths
from rtsmlm.localizations import Localizations

OURS, METADATA = "rtsmlm", "metadata"
"""Group of our own in the files of others, and the dataset in it with our metadata as JSON."""
_CHUNK_ROWS = 1 << 15
_MATLAB_BLOCK = 512
"""Bytes that MATLAB puts before HDF5."""

Columns = dict[str, NDArray[Any]]


class _Growing:
    """Datasets of a group that grow together.

    Parameters
    ----------
    group
        Where they are made, with the first rows.
    is_row
        Each is a row of a matrix, as MATLAB keeps a column.
    compression
        As h5py takes it; not given stores plainly.
    """

    def __init__(
        self, group: h5py.Group, *, is_row: bool = False, compression: str | None = None
    ) -> None:
        self._group = group
        self._is_row = is_row
        self._compression = compression

    def append(self, columns: Columns) -> None:
        """Append rows; the first call decides names and types."""
        for name, values in columns.items():
            rows = values[None] if self._is_row else values
            axis = 1 if self._is_row else 0
            if name not in self._group:
                shape = [*rows.shape]
                shape[axis] = 0
                chunks, most = [*rows.shape], [*rows.shape]
                chunks[axis], most[axis] = _CHUNK_ROWS, None
                self._group.create_dataset(
                    name, tuple(shape), rows.dtype, maxshape=tuple(most), chunks=tuple(chunks),
                    compression=self._compression,
                )  # fmt: skip
            dataset = self._group[name]
            start = dataset.shape[axis]
            dataset.resize(start + rows.shape[axis], axis=axis)
            dataset[(slice(None), slice(start, None)) if self._is_row else slice(start, None)] = (
                rows
            )


def _note(file: h5py.File, metadata: Mapping[str, Any]) -> h5py.Group:
    """Put our metadata into the file, and return the group that they are in."""
    group = _struct(file, OURS)  # MATLAB passes over it, and the others see no difference
    # As bytes: for a text of any length HDF5 searches a heap, in a damaged file for ever.
    text = json.dumps(dict(metadata), default=str).encode()
    dataset = group.create_dataset(METADATA, data=np.frombuffer(text, np.uint8))
    dataset.attrs["MATLAB_class"] = np.bytes_("uint8")
    return group


def _known(batch: Localizations, known: frozenset[str], names: Mapping[str, str]) -> Columns:
    return {theirs: getattr(batch, ours) for ours, theirs in names.items() if ours in known}


def _extras(batch: Localizations, metadata: Mapping[str, Any]) -> Columns:
    return {name: batch.extra_column(name) for name in extra_columns_of(metadata)}


_SMAPPY = {
    "x_nm": "x_nm", "y_nm": "y_nm", "z_nm": "z_nm", "photons": "photons",
    "background": "background", "std_x_nm": "x_err_nm", "std_y_nm": "y_err_nm",
    "std_z_nm": "z_err_nm", "std_photons": "photons_err", "probability": "probability",
    "channel": "channel",
}  # fmt: skip


def write_smappy(
    path: Path,
    batches: Iterable[Localizations],
    metadata: Mapping[str, Any],
    known: frozenset[str],
) -> None:
    """Write a table of smappy; parameters and errors as `write_picasso`."""
    pixel_nm = needed_pixel_nm(metadata, "a table of smappy")
    widths = SpotWidths(metadata, known)
    with replacing(path) as part, h5py.File(part, "w") as file:
        columns = _Growing(file.create_group("locs"), compression="lzf")
        n_rows = 0
        for batch in _with_empty(batches):
            rows = {"frame": batch.frame, **_known(batch, known, _SMAPPY)}
            if "std_x_nm" in known:
                rows["xy_err_nm"] = _lateral(batch)
            if widths.known:
                rows["sigma_nm"], rows["sigma_y_nm"] = widths.of(batch)
            columns.append(rows | _extras(batch, metadata))
            n_rows += len(batch)
        file.attrs["format"] = "smappy-localizations"
        file.attrs["format_version"] = 1
        file.attrs["n_localizations"] = n_rows
        camera = {"pixelsize_um": pixel_nm / 1000, "pixelsize_nm": pixel_nm}
        about = {"camera": camera, "pixelsize_nm": pixel_nm, "source": generator_name()}
        file.attrs["metadata"] = json.dumps(about)
        _note(file, metadata)


_SMAP = {
    "x_nm": "xnm", "y_nm": "ynm", "z_nm": "znm", "photons": "phot", "background": "bg",
    "std_x_nm": "xnmerr", "std_y_nm": "ynmerr", "std_z_nm": "locprecznm",
    "std_photons": "photerr", "probability": "probability",
}  # fmt: skip


def write_smap(
    path: Path,
    batches: Iterable[Localizations],
    metadata: Mapping[str, Any],
    known: frozenset[str],
) -> None:
    """Write a `_sml.mat` of SMAP (MATLAB 7.3); parameters and errors as `write_picasso`."""
    pixel_nm = needed_pixel_nm(metadata, "a table of SMAP")
    widths = SpotWidths(metadata, known)
    with replacing(path) as part:
        with h5py.File(part, "w", userblock_size=_MATLAB_BLOCK) as file:
            saved = _struct(file, "saveloc")
            columns = _Growing(_struct(saved, "loc"), is_row=True)
            for batch in _with_empty(batches):
                rows = {"frame": batch.frame + 1.0, **_known(batch, known, _SMAP)}
                rows["channel"] = batch.channel.astype(np.float32)
                rows["filenumber"] = np.ones(len(batch), np.float32)
                if "std_x_nm" in known:
                    rows["locprecnm"] = _lateral(batch)
                if widths.known:
                    rows["PSFxnm"], rows["PSFynm"] = widths.of(batch)
                columns.append(rows | _extras(batch, metadata))
            for dataset in saved["loc"].values():
                is_double = dataset.dtype == np.float64
                dataset.attrs["MATLAB_class"] = np.bytes_("double" if is_double else "single")
            _describe_smap(saved, metadata, pixel_nm)
            _note(file, metadata)
        with part.open("r+b") as raw:
            raw.write(_matlab_head())


def _describe_smap(saved: h5py.Group, metadata: Mapping[str, Any], pixel_nm: float) -> None:
    """Add what SMAP wants to know of the movie."""
    about = _struct(saved, "file")
    _text(about, "name", str(metadata.get("run", "rtsmlm")))
    _value(about, "number", [1.0])
    info = _struct(about, "info")
    _value(info, "cam_pixelsize_um", [pixel_nm / 1000, pixel_nm / 1000])
    height, width = metadata.get("shape", (0, 0))
    _value(info, "roi", [0.0, 0.0, float(width), float(height)])
    _value(info, "numberOfFrames", [float(metadata.get("n_frames", 0))])


def _struct(parent: h5py.Group, name: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    return group


def _value(parent: h5py.Group, name: str, values: list[float]) -> None:
    dataset = parent.create_dataset(name, data=np.array(values, np.float64)[:, None])
    dataset.attrs["MATLAB_class"] = np.bytes_("double")


def _text(parent: h5py.Group, name: str, text: str) -> None:
    codes = np.frombuffer(text.encode("utf-16-le") or b" \0", np.uint16)
    dataset = parent.create_dataset(name, data=codes[:, None])
    dataset.attrs["MATLAB_class"] = np.bytes_("char")
    dataset.attrs["MATLAB_int_decode"] = np.int32(2)


def _matlab_head() -> bytes:
    """Return the first bytes of a MATLAB 7.3 file: a text, its version, and its byte order."""
    when = datetime.now(UTC).strftime("%a %b %d %H:%M:%S %Y")
    text = f"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: {when} HDF5 schema 1.00 ."
    return text.encode("ascii").ljust(116) + bytes(8) + b"\x00\x02IM"


def write_decode(
    path: Path,
    batches: Iterable[Localizations],
    metadata: Mapping[str, Any],
    known: frozenset[str],
) -> None:
    """Write an .h5 of DECODE; parameters and errors as `write_picasso`.

    x of DECODE runs along the rows of a movie, so that our y becomes its x.
    """
    pixel_nm = needed_pixel_nm(metadata, "a table of DECODE")
    with replacing(path) as part, h5py.File(part, "w") as file:
        data, ours = _Growing(file.create_group("data")), _note(file, metadata)
        more, n_rows = _Growing(ours), 0
        for batch in _with_empty(batches):
            data.append(_decode_rows(batch, known, pixel_nm, n_rows))
            rest = {"channel": batch.channel} if "channel" in known else {}
            more.append(rest | _extras(batch, metadata))
            n_rows += len(batch)
        missing = {"xyz_sig", "xyz_cr", "phot_cr", "phot_sig", "bg_cr", "bg_sig"}
        for name in missing - set(file["data"]):
            file["data"].create_dataset(name, data=h5py.Empty("f"))
        about = file.create_group("meta").attrs
        about["xy_unit"] = "px"
        about["px_size"] = [pixel_nm, pixel_nm]
        file.create_group("decode").attrs["version"] = generator_name()


def _decode_rows(
    batch: Localizations, known: frozenset[str], pixel_nm: float, first_id: int
) -> Columns:
    def triple(x: str, y: str, z: str) -> NDArray[np.float32]:
        lateral = [getattr(batch, name) / np.float64(pixel_nm) for name in (y, x)]
        return np.stack([*lateral, getattr(batch, z)], axis=1).astype(np.float32)

    rows: Columns = {
        "xyz": triple("x_nm", "y_nm", "z_nm"),
        "phot": batch.photons,
        "frame_ix": batch.frame,
        "id": np.arange(first_id, first_id + len(batch)),
        "prob": batch.probability,
        "bg": batch.background,
    }
    if "std_x_nm" in known:
        rows["xyz_sig"] = triple("std_x_nm", "std_y_nm", "std_z_nm")
    if "std_photons" in known:
        rows["phot_sig"] = batch.std_photons
    return rows


def _lateral(batch: Localizations) -> NDArray[np.float32]:
    """Return one uncertainty for both axes: the root mean square."""
    return np.sqrt((batch.std_x_nm**2 + batch.std_y_nm**2) / 2)


def _with_empty(batches: Iterable[Localizations]) -> Iterable[Localizations]:
    """Yield a batch without rows first, so that a table without any has its columns."""
    yield Localizations.empty()
    yield from batches
