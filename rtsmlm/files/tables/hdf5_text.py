"""The text of a dataset of HDF5, without the library's own search for it.

Text of any length lies in a heap of the file ("GCOL", section III.E of the file format), and a few
flipped bits there let the library search for ever. A heap is short and simple, so it is read here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import h5py

from rtsmlm.errors import FileFormatError
from rtsmlm.files.limits import MAX_METADATA_BYTES

_REFERENCE = struct.Struct("<IQI")
"""In the dataset: length of the text, address of its heap, number of the object in it."""
_HEAP = struct.Struct("<4sB3xQ")
"""Mark, version, and length of the heap with this header."""
_OBJECT = struct.Struct("<HH4xQ")
"""Number, references and length of an object, which fills up to eight bytes."""


def text_of(path: Path, file: h5py.File, dataset: Any) -> str:
    """Return the text of a dataset that holds one.

    Parameters
    ----------
    path
        The file.
    file
        The same, open.
    dataset
        A dataset in it, of no dimension.

    Raises
    ------
    FileFormatError
        If it is no text, or longer than metadata are.
    """
    kind = h5py.check_string_dtype(dataset.dtype)
    if kind is None or dataset.shape != () or dataset.nbytes > MAX_METADATA_BYTES:
        raise FileFormatError(
            f"{dataset.name} of {path} is no text of at most {MAX_METADATA_BYTES} bytes"
        )
    if kind.length is not None:
        return bytes(dataset[()]).decode("utf-8", errors="replace")
    try:
        return _from_heap(path, file, dataset).decode("utf-8", errors="replace")
    except (struct.error, ValueError, OSError) as error:
        raise FileFormatError(f"{dataset.name} of {path} is damaged: {error}") from error


def _from_heap(path: Path, file: h5py.File, dataset: Any) -> bytes:
    """Return a text from the heap that its dataset refers to."""
    at = dataset.id.get_offset()
    if at is None or file.id.get_create_plist().get_sizes() != (8, 8):
        raise ValueError("its text is not stored as h5py stores it")
    base, size = file.userblock_size, path.stat().st_size
    with path.open("rb") as raw:
        raw.seek(at)
        length, heap_at, wanted = _REFERENCE.unpack(raw.read(_REFERENCE.size))
        if not 0 < heap_at < size or length > MAX_METADATA_BYTES:
            raise ValueError("its text lies outside of the file")
        raw.seek(base + heap_at)
        mark, _, heap_bytes = _HEAP.unpack(raw.read(_HEAP.size))
        if mark != b"GCOL" or not _HEAP.size <= heap_bytes <= MAX_METADATA_BYTES + 4096:
            raise ValueError("its text lies in no heap")
        heap = raw.read(heap_bytes - _HEAP.size)
    at = 0
    while at + _OBJECT.size <= len(heap):
        number, _, n_bytes = _OBJECT.unpack_from(heap, at)
        at += _OBJECT.size
        if number == wanted and length <= n_bytes <= len(heap) - at:
            return heap[at : at + length]
        if number == 0:  # the rest is free
            break
        at += -(-n_bytes // 8) * 8
    raise ValueError("its text is not in its heap")
