"""Rows out of a dataset of HDF5, without trust in what its header states.

HDF5 makes memory for whatever a header says, follows links into other files, and inflates a chunk
to whatever it holds. So links, storage, filters and sizes are looked at before the first row is
read, and rows are read piece by piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rtsmlm.errors import FileFormatError
from rtsmlm.files.bounded import decompress
from rtsmlm.files.limits import FREE_BYTES, ROW_BYTES, check_size

_DEFLATE, _SHUFFLE, _CHECKSUM, _SZIP, _LZF = 1, 2, 3, 4, 32000
_FILTERS = {
    _DEFLATE: "gzip",
    _SHUFFLE: "shuffle",
    _CHECKSUM: "fletcher32",
    _SZIP: "szip",
    _LZF: "lzf",
}
_DEFLATE_RATIO = 1032
"""Deflate never does better; smaller chunks cannot hold more than is granted."""
_CHECKSUM_BYTES = 4
_MOST_ROW_BYTES = 4096
_PIECE_BYTES = 16 << 20


def dataset_in(path: Path, file: h5py.File, name: str) -> Any:
    """Return a dataset that lies in the file itself; None where there is none of this name.

    Raises
    ------
    FileFormatError
        If it is in another file, by a link or as storage.
    """
    if name not in file:
        link = file.get(name, getlink=True)
        if isinstance(link, h5py.HardLink | None):
            return None
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise FileFormatError(f"/{name} of {path} is a link to elsewhere, which is not followed")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        return None
    if dataset.is_virtual or dataset.external:
        raise FileFormatError(f"/{name} of {path} lies in other files, which are not read")
    return dataset


def read_fields(path: Path, dataset: Any, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Return some fields of a table, each of shape (n,).

    Parameters
    ----------
    path
        The file, for errors.
    dataset
        One-dimensional, of rows.
    names
        Fields, each a number.

    Raises
    ------
    FileFormatError
        If the rows take more memory than a file of its size may, or cannot be read.
    """
    n_rows, row_bytes, size = len(dataset), dataset.dtype.itemsize, path.stat().st_size
    check_size(path, f"{n_rows} rows", n_rows * max(ROW_BYTES, 8 * len(names)), size)
    if row_bytes > _MOST_ROW_BYTES:
        raise FileFormatError(f"{path} states rows of {row_bytes} bytes; it is of another kind")
    for name in names:
        kind = dataset.dtype[name]
        if kind.kind not in "iufb" or kind.shape:
            raise FileFormatError(f"column {name} of {path} holds {kind}, not one number per row")
    if dataset.chunks is not None:
        _check_chunks(path, dataset, size)
    columns = {name: np.empty(n_rows, dtype=dataset.dtype[name]) for name in names}
    # Whole chunks, so that none is decompressed twice.
    chunk_rows = dataset.chunks[0] if dataset.chunks else 1
    step = max(_PIECE_BYTES // row_bytes // chunk_rows, 1) * chunk_rows
    for start in range(0, n_rows, step):
        rows = dataset.fields(list(names))[start : start + step]
        for name in names:
            columns[name][start : start + step] = rows[name]
    return columns


def _check_chunks(path: Path, dataset: Any, size: int) -> None:
    """Raise unless every chunk becomes as long as its dataset states, and no longer."""
    chunk_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    check_size(path, "a chunk", chunk_bytes, size)
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(k) for k in range(settings.get_nfilters())]
    numbers = [number for number, *_ in filters]
    unknown = [number for number in numbers if number not in _FILTERS]
    if unknown or len(set(numbers)) < len(numbers):
        found = ", ".join(_FILTERS.get(number, f"no. {number}") for number in numbers)
        raise FileFormatError(
            f"{path} is compressed by {found}; rtsmlm reads {', '.join(_FILTERS.values())}, "
            "each once"
        )
    if _LZF in numbers and filters[numbers.index(_LZF)][2][2:3] not in ((), (chunk_bytes,)):
        raise FileFormatError(f"{path} is damaged: its chunks are of two sizes")
    packing = [number for number in numbers if number in (_DEFLATE, _SZIP, _LZF)]
    if packing in ([], [_LZF]):  # lzf makes no more than 88 times what it is given
        return
    if len(packing) > 1 or packing[0] != [k for k in numbers if k != _CHECKSUM][-1]:
        raise FileFormatError(f"{path} is compressed in an order in which no program writes")
    index = numbers.index(packing[0])

    def check(chunk: Any) -> None:
        if not 0 <= chunk.size <= size:
            raise FileFormatError(f"{path} is damaged: a chunk of {chunk.size} bytes")
        if chunk.filter_mask & (1 << index):
            return  # not compressed, since it did not become smaller
        if packing == [_SZIP] or chunk.size * _DEFLATE_RATIO > FREE_BYTES:
            raw = dataset.id.read_direct_chunk(chunk.chunk_offset)[1]
            is_summed = _CHECKSUM in numbers and not chunk.filter_mask & (
                1 << numbers.index(_CHECKSUM)
            )
            stream = raw[: len(raw) - _CHECKSUM_BYTES * is_summed]
            _check_stream(path, packing[0], stream, chunk_bytes)

    dataset.id.chunk_iter(check)


def _check_stream(path: Path, number: int, stream: bytes, chunk_bytes: int) -> None:
    if number == _DEFLATE:
        try:
            decompress("zlib", stream, chunk_bytes)
        except ValueError as error:
            raise FileFormatError(f"{path} holds a chunk that is damaged: {error}") from error
    elif int.from_bytes(stream[:4], "little") != chunk_bytes:
        raise FileFormatError(f"{path} holds a chunk that states another length than its dataset")


def read_numbers(path: Path, dataset: Any) -> NDArray[np.float64]:
    """Return a dataset of plain numbers, in its own shape.

    Parameters
    ----------
    path
        The file, for errors.
    dataset
        Of one or two dimensions; an empty one has none, and becomes an array of no numbers.

    Raises
    ------
    FileFormatError
        If it holds no numbers, or takes more memory than a file of its size may.
    """
    if dataset.shape is None:
        return np.empty(0)
    if dataset.dtype.kind not in "iufb" or dataset.ndim > 2:
        raise FileFormatError(
            f"{dataset.name} of {path} holds {dataset.ndim}-dimensional {dataset.dtype}, no columns"
        )
    size = path.stat().st_size
    check_size(path, f"{dataset.size} numbers", 8 * dataset.size, size)
    if dataset.chunks is not None:
        _check_chunks(path, dataset, size)
    return np.asarray(dataset[()], dtype=np.float64)
